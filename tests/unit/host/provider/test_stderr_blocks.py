"""The lines of a traceback are one event; unrelated lines are events of their own."""

from __future__ import annotations

import traceback

import pytest

from dstream.host.provider.stderr_blocks import StderrBlocks

JAVA = ["java.lang.NullPointerException: x", "\tat Main.read(Main.java:3)", "\tat Main.main(Main.java:9)"]
GO = ["panic: boom", "goroutine 1 [running]:", "main.read()", "\t/src/main.go:4 +0x1d"]


def blocks(lines: list[str]) -> list[str]:
    grouped = StderrBlocks()
    found = [grouped.add(line) for line in lines if line.strip()]
    return [each for each in (*found, grouped.close()) if each]


def chained() -> list[str]:
    """What Python prints for an exception that was raised while another one was handled."""
    try:
        try:
            {}["next"]
        except KeyError as error:
            raise ValueError("bad state") from error
    except ValueError:
        return traceback.format_exc().splitlines()
    raise AssertionError


def test_a_python_traceback_with_its_causes_is_one_block() -> None:
    found = blocks(["before", *chained(), "after"])
    assert found[0] == "before"
    assert found[1].startswith("Traceback")
    assert found[1].endswith("ValueError: bad state")
    assert found[2:] == ["after"]


def test_two_tracebacks_in_a_row_are_two_blocks() -> None:
    assert len(blocks([*chained(), *chained()])) == 2


@pytest.mark.parametrize(("lines", "count"), [(JAVA, 1), (GO, 3), (["a", "b", "c"], 3)], ids=["java", "go", "plain"])
def test_indented_lines_belong_to_the_line_before(lines: list[str], count: int) -> None:
    assert len(blocks(lines)) == count
    assert "\n".join(blocks(lines)) == "\n".join(lines)


def test_an_endless_block_is_split() -> None:
    found = blocks(["head", *["  " + "x" * 1000] * 200])
    assert len(found) > 1
    assert max(map(len, found)) < 70_000
