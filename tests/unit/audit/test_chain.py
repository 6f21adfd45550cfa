"""The hash chain of the audit log: whatever is done to lines before the last one is found."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstream.audit import AuditEntry, AuditOrigin, check_chain, decode_entry
from dstream.audit._chain import line_hash
from dstream.audit._entry import encode_entry


def entry(number: int, *, phase: str = "intent", change: str = "") -> AuditEntry:
    return AuditEntry(
        schema_version=1,
        time="2026-11-25T09:12:04.000Z",
        change=change or f"c{number}",
        phase=phase,  # type: ignore[arg-type]
        command="init",
        tasks=(f"t{number}",),
        stack="dev",
        config="/srv/dstream.hcl",
        origin=AuditOrigin("alice", "host", 1),
        dstream="0.1.0",
        previous="",
    )


def chained(entries: list[AuditEntry]) -> list[bytes]:
    lines: list[bytes] = []
    for each in entries:
        previous = line_hash(lines[-1]) if lines else ""
        lines.append(encode_entry(msgspec.structs.replace(each, previous=previous)))
    return lines


LINES = chained([entry(number) for number in range(6)])


def test_an_untouched_log_is_intact() -> None:
    chain = check_chain(LINES)
    assert (chain.entries, chain.broken_line, chain.head) == (6, 0, line_hash(LINES[-1]))
    assert check_chain([]).entries == 0


@given(st.integers(0, 4), st.data())
def test_a_changed_line_breaks_the_chain_there_or_at_the_next_line(number: int, data: st.DataObject) -> None:
    line = LINES[number]
    at = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value not in (line[at], ord("\n"))))
    lines = [*LINES[:number], line[:at] + bytes([byte]) + line[at + 1 :], *LINES[number + 1 :]]
    assert check_chain(lines).broken_line in (number + 1, number + 2)


@given(st.integers(0, 4))
def test_a_removed_line_breaks_the_chain_at_the_line_after_it(number: int) -> None:
    assert check_chain([*LINES[:number], *LINES[number + 1 :]]).broken_line == number + 1


@given(st.integers(0, 5), st.integers(0, 5))
def test_a_repeated_line_breaks_the_chain(source: int, target: int) -> None:
    assert check_chain([*LINES[:target], LINES[source], *LINES[target:]]).broken_line in (target + 1, target + 2)


def test_lines_that_are_gone_from_the_end_are_found_with_a_hash_noted_before() -> None:
    noted = check_chain(LINES).head
    assert check_chain(LINES[:4]).broken_line == 0
    assert not check_chain(LINES[:4], expected=noted).has_expected
    longer = chained([entry(number) for number in range(9)])
    assert check_chain(longer, expected=noted).has_expected


def test_a_torn_line_is_reported_and_breaks_the_chain_unless_the_next_line_has_its_hash() -> None:
    torn = LINES[1][:20]
    following = encode_entry(msgspec.structs.replace(entry(9), previous=line_hash(torn)))
    chain = check_chain([LINES[0], torn, following])
    assert (chain.broken_line, chain.torn, chain.entries) == (0, (2,), 2)
    assert check_chain([LINES[0], torn, LINES[2]]).broken_line == 2
    assert check_chain([LINES[0], torn, torn, following]).broken_line == 2
    assert check_chain([LINES[0], torn]).broken_line == 2


def test_an_intent_without_a_result_is_unfinished() -> None:
    lines = chained([entry(1), entry(2), entry(3, phase="result", change="c1")])
    assert [each.change for each in check_chain(lines).unfinished] == ["c2"]


@pytest.mark.parametrize("line", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"schema_version":1}'])
def test_a_line_that_is_no_entry_breaks_the_chain(line: bytes) -> None:
    assert check_chain([line]).broken_line == 1


def test_a_line_of_a_newer_schema_is_not_guessed() -> None:
    newer = encode_entry(msgspec.structs.replace(entry(1), schema_version=2))
    assert decode_entry(newer).schema_version == 2
    assert "schema version 2" in check_chain([newer]).problem
