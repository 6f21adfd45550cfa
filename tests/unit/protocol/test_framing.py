"""The scanner returns the same lines and counts wherever reads are split, and never exceeds a limit."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstream.protocol import MAX_CHECKPOINT_LINE, MAX_CONTROL_LINE
from dstream.protocol.framing import ControlLine, DataLines, LineBuffer, LineTooLong, StreamScanner

CHUNK = 64

data_lines = st.one_of(
    st.binary(max_size=150).filter(lambda line: b"\n" not in line and not line.startswith(b'{"dstream":')),
    st.sampled_from([b"", b"{", b'{"dstream"', b'{"dstream" :', b' {"dstream":', b'{"data":"{\\"dstream\\":"}', b"\r"]),
)
control_lines = st.sampled_from(
    [
        b'{"dstream":"heartbeat"}',
        b'{"dstream": "log","level":"info","event":"x"}',
        b'{"dstream":',
        b'{"dstream":"a\\n"}',
    ]
)
streams = st.lists(st.one_of(data_lines, control_lines), max_size=30)
cuts = st.lists(st.integers(1, CHUNK), min_size=1, max_size=20)


def test_data_and_control_lines_are_separated_in_order() -> None:
    pieces = scan(b'{"data":1}\n{"data":2}\n{"dstream":"end","seq":1}\n{"data":3}\n', [1000], chunk=1024)
    assert pieces == [(b'{"data":1}\n{"data":2}\n', 2), b'{"dstream":"end","seq":1}', (b'{"data":3}\n', 1)]


@given(streams, cuts)
def test_read_boundaries_do_not_matter(lines: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    assert flat(scan(stream, sizes)) == expected(lines)


@given(streams, cuts, data_lines.filter(bool))
def test_an_unterminated_line_is_held_back(lines: list[bytes], sizes: list[int], last: bytes) -> None:
    scanner = StreamScanner(chunk_bytes=CHUNK)
    pieces = feed(scanner, b"".join(line + b"\n" for line in lines) + last, sizes)
    assert flat(pieces) == expected(lines)
    assert scanner.tail == last


@given(streams, cuts, st.integers(0, 30))
def test_single_lines_can_be_taken_first(lines: list[bytes], sizes: list[int], singles: int) -> None:
    scanner = StreamScanner(chunk_bytes=CHUNK)
    taken: list[bytes] = []
    pieces: list[bytes | tuple[bytes, int]] = []
    for part in parts(b"".join(line + b"\n" for line in lines), sizes):
        give(scanner, part)
        while len(taken) < singles and (line := scanner.take_line()) is not None:
            taken.append(line)
        if len(taken) >= singles:
            pieces += took(scanner)
    assert taken == lines[:singles]
    assert flat(pieces) == expected(lines[singles:])


@given(st.lists(st.integers(0, 40), max_size=40), cuts, st.integers(1, 30))
def test_a_data_line_may_reach_but_not_exceed_the_limit(lengths: list[int], sizes: list[int], limit: int) -> None:
    stream = b"".join(b"x" * length + b"\n" for length in lengths)
    if max(lengths, default=0) <= limit:
        assert flat(scan(stream, sizes, max_line=limit)) == expected([b"x" * length for length in lengths])
        return
    with pytest.raises(LineTooLong) as caught:
        scan(stream, sizes, max_line=limit)
    assert (caught.value.what, caught.value.limit) == ("data", limit)
    assert caught.value.size > limit


@pytest.mark.parametrize("terminated", [True, False])
@pytest.mark.parametrize(
    ("head", "limit"),
    [
        (b'{"dstream":"checkpoint","seq":1,"n":0,"state":"', MAX_CHECKPOINT_LINE),
        (b'{"dstream": "checkpoint","seq":1,"n":0,"state":"', MAX_CHECKPOINT_LINE),
        (b'{"dstream":"log","level":"info","event":"', MAX_CONTROL_LINE),
    ],
)
def test_control_lines_have_their_own_limits(head: bytes, limit: int, terminated: bool) -> None:
    end = b'"}\n'
    fits = head + b"x" * (limit - len(head) - 2) + end
    assert scan(fits, [65536], chunk=65536) == [fits[:-1]]
    over = fits[:-3] + b"x" + (end if terminated else b"xxx")
    with pytest.raises(LineTooLong) as caught:
        scan(over, [65536], chunk=65536)
    assert caught.value.limit == limit


@given(st.lists(st.one_of(data_lines, control_lines, st.sampled_from([b"prose", b"", b" {"])), max_size=30), cuts)
def test_text_of_a_legacy_input_is_separated_from_its_rows(lines: list[bytes], sizes: list[int]) -> None:
    scanner = StreamScanner(chunk_bytes=CHUNK)
    rows: list[bytes] = []
    prose: list[bytes] = []
    for part in parts(b"".join(line + b"\n" for line in lines), sizes):
        give(scanner, part)
        for piece in scanner.take_json_lines():
            if isinstance(piece, DataLines):
                rows += bytes(piece.view).split(b"\n")[:-1]
                assert piece.count == bytes(piece.view).count(b"\n")
            else:
                prose.append(piece.line)
    assert rows == [line for line in lines if line.startswith(b"{")]
    assert prose == [line for line in lines if not line.startswith(b"{")]


def test_the_buffer_shrinks_again_after_a_huge_line() -> None:
    scanner = StreamScanner(chunk_bytes=CHUNK)
    feed(scanner, b"x" * 100 * CHUNK + b"\n", [CHUNK])
    feed(scanner, b"{}\n" * 10, [CHUNK])
    scanner.space()
    assert len(scanner._buffer) <= 2 * CHUNK


def scan(
    stream: bytes, sizes: list[int], *, max_line: int = 1 << 24, chunk: int = CHUNK
) -> list[bytes | tuple[bytes, int]]:
    return feed(StreamScanner(max_line, chunk), stream, sizes)


def feed(scanner: StreamScanner, stream: bytes, sizes: list[int]) -> list[bytes | tuple[bytes, int]]:
    pieces: list[bytes | tuple[bytes, int]] = []
    for part in parts(stream, sizes):
        give(scanner, part)
        pieces += took(scanner)
    return pieces


def parts(stream: bytes, sizes: list[int]) -> list[bytes]:
    found, position, index = [], 0, 0
    while position < len(stream):
        size = sizes[index % len(sizes)]
        found.append(stream[position : position + size])
        position += size
        index += 1
    return found


def give(scanner: StreamScanner, part: bytes) -> None:
    while part:
        space = scanner.space()
        count = min(len(space), len(part))
        assert count > 0
        space[:count] = part[:count]
        scanner.received(count)
        part = part[count:]


def took(scanner: StreamScanner) -> list[bytes | tuple[bytes, int]]:
    return [(bytes(p.view), p.count) if isinstance(p, DataLines) else only_line(p) for p in scanner.take()]


def only_line(piece: ControlLine) -> bytes:
    assert isinstance(piece, ControlLine)
    return piece.line


def flat(pieces: list[bytes | tuple[bytes, int]]) -> list[bytes | tuple[bytes, int]]:
    """Join adjacent data pieces, whose number depends on the reads."""
    joined: list[bytes | tuple[bytes, int]] = []
    for piece in pieces:
        if isinstance(piece, tuple) and joined and isinstance(joined[-1], tuple):
            joined[-1] = (joined[-1][0] + piece[0], joined[-1][1] + piece[1])
        else:
            joined.append(piece)
    return joined


def expected(lines: list[bytes]) -> list[bytes | tuple[bytes, int]]:
    return flat([line if line.startswith(b'{"dstream":') else (line + b"\n", 1) for line in lines])


def test_a_json_encoder_without_spaces_writes_the_prefix() -> None:
    assert json.dumps({"dstream": "x"}, separators=(",", ":")).startswith('{"dstream":')


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_the_line_buffer_returns_the_same_lines_for_any_chunk_size(size: int) -> None:
    text = b"one\n\ntwo and more\nrest"
    splitter = LineBuffer("control", 20)
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    assert [line for chunk in chunks for line in splitter.feed(chunk)] == [b"one", b"", b"two and more"]
    assert splitter.rest == b"rest"


def test_the_line_buffer_cuts_a_long_line_if_it_may() -> None:
    buffer = LineBuffer("control", 4, lambda: True)
    lines = [line for chunk in (b"one\nto", b"o lo", b"ng\ntwo\n") for line in buffer.feed(chunk)]
    assert lines == [b"one", b"too lo", b"ng", b"two"]


def test_the_line_buffer_yields_the_lines_before_an_oversized_one() -> None:
    lines = LineBuffer("control", 4).feed(b"one\ntoo long\n")
    assert next(lines) == b"one"
    with pytest.raises(LineTooLong, match="a control line of 8 bytes; the limit is 4"):
        next(lines)
