"""`make fuzz`: fuzzes framing and handshake with atheris, guided by coverage. Accepts libFuzzer's flags."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["dstream"]):
    from tests.fuzz.start import check

SEEDS = (
    b'{"dstream":"hello","protocol":1,"role":"input","name":"x","version":"1","capabilities":["checkpoint"]}\n',
    b'{"status":"ready"}\n{"data":{"n":1},"metadata":{}}\n',
    b'{"dstream":"checkpoint","seq":1,"n":1,"state":{}}\n{"dstream":"end","seq":1}\n',
    b'{"dstream":"log","level":"info","event":"x","more":"\xff"}\n',
    b'{"dstream":"heartbeat","phase":"idle","lag_ms":1}\nprose\n\xff\n',
)


def one(data: bytes) -> None:
    """The first bytes determine how the rest is split and when line 1 is written."""
    provider = atheris.FuzzedDataProvider(data)
    cuts = [provider.ConsumeIntInRange(1, 80) for _ in range(provider.ConsumeIntInRange(0, 3))]
    asked_after = provider.ConsumeIntInRange(0, 3)
    begin = b"".join(seed for seed in SEEDS if provider.ConsumeBool())
    check(begin + provider.ConsumeBytes(len(data)), cuts, asked_after=asked_after)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
