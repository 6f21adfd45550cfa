"""Streams close enough to the protocol to get far, and wrong in any way."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st


def line(**message: Any) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def hello(role: str) -> bytes:
    capabilities = ["checkpoint", "once"] if role == "input" else ["ack"]
    return line(dstream="hello", protocol=1, role=role, name="fuzz", version="1", capabilities=capabilities)


READY = line(status="ready")
_small = st.integers(-1, 4)
_junk = st.binary(max_size=60)
_row = st.binary(max_size=40).map(lambda data: b'{"data":"' + data.replace(b"\n", b"") + b'"}\n')
_control = st.one_of(
    st.builds(lambda seq, n: line(dstream="checkpoint", seq=seq, n=n, state={}), _small, _small),
    st.builds(lambda seq, n: line(dstream="ack", seq=seq, n=n, rejected=0), _small, _small),
    st.builds(lambda seq: line(dstream="end", seq=seq), _small),
    st.builds(lambda kind: line(dstream=kind, seq=1), st.text(max_size=8)),
    st.sampled_from(
        [
            line(dstream="heartbeat", phase="idle"),
            line(dstream="log", level="info", event="x", more={"a": [1]}),
            line(dstream="metric", name="m", kind="gauge", value=1.5),
            line(dstream="error", code="a.b", kind="data", message="no"),
            line(status="error", message="no"),
            b'{"dstream":\n',
            b'{"dstream":"\xff"}\n',
            b'{"dstream":{}}\n',
            b'{"dstream":"log","level":"info","event":"x","more":"\xff"}\n',
            b'{"dstream":"log","level":"info","event":"x","more":' + b"[" * 20_000 + b"]" * 20_000 + b"}\n",
            b'{"dstream":"log","level":"info","event":"x","more":' + b"[" * 400 + b"]" * 400 + b"}\n",
            b'{"status":"\xff"}\n',
        ]
    ),
)
_start = st.sampled_from([hello("input"), hello("output"), READY, b"prose\n", b"\n", b"\r\n"])
pieces = st.one_of(_row, _control, _start, _junk, _junk.map(lambda data: data + b"\n"))
"""Anything that can come next in a stream; mostly whole lines."""


@st.composite
def valid_inputs(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """The output of a valid input after line 1, and its rows, which can contain any bytes."""
    stream, rows = [READY], []
    groups = draw(st.lists(st.lists(_row, max_size=4), max_size=4))
    for seq, group in enumerate(groups, 1):
        rows += group
        stream += [*group, line(dstream="checkpoint", seq=seq, n=len(group), state={"seq": seq})]
    stream.append(line(dstream="end", seq=len(groups)))
    return b"".join(stream), rows
