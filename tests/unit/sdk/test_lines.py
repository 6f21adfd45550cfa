from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dstream.protocol.messages import Checkpoint, Stop, encode
from dstream.sdk._lines import LineSplitter

_DATA = st.sampled_from([b'{"data":{}}', b"", b'{"data":{"t":"{\\"dstream\\":"}}', b" " + b'{"dstream":1', b"x" * 50])
_CONTROL = st.sampled_from([Checkpoint(1, 2), Stop(5)])


@given(st.lists(st.one_of(_DATA, _CONTROL), max_size=20), st.data())
def test_any_chunking_returns_the_same_lines_and_messages_in_order(items, data) -> None:  # type: ignore[no-untyped-def]
    stream = b"".join(item + b"\n" if isinstance(item, bytes) else encode(item) for item in items) + b"half"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    splitter = LineSplitter()
    seen = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        for part in splitter.feed(stream[start:end]):
            seen += part if isinstance(part, list) else [part]
    assert seen == items
    assert splitter.rest == b"half"


def test_a_control_kind_from_a_later_version_is_ignored() -> None:
    parts = list(LineSplitter().feed(b'a\n{"dstream":"from the future"}\nb\n'))
    assert parts == [[b"a"], [b"b"]]
