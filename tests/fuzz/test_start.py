"""Fuzzes framing and handshake in this process."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz.start import check
from tests.fuzz.streams import pieces


@settings(max_examples=100, deadline=None)
@given(
    st.lists(pieces, max_size=12).map(b"".join),
    st.lists(st.integers(1, 80), max_size=3),
    st.integers(0, 3),
)
@example(b'{"dstream":"log","level":"info","event":"x","more":"\xff"}\n', [], 0)
def test_any_bytes_yield_lines_in_order_or_a_documented_error(data: bytes, cuts: list[int], asked_after: int) -> None:
    check(data, cuts, asked_after=asked_after)
