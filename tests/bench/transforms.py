"""The SDK's run of an output with transforms, compared with the same run without any.

One process: the lines of a prepared file go through the output's run and are counted by a provider that discards them.
The host is left out, because it relays the same lines with and without transforms.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import msgspec

from dstream.protocol.transforms import (
    Comparison,
    DropColumns,
    FilterRows,
    FixedValue,
    MaskColumns,
    RenameColumns,
    RowField,
    Transform,
)
from tests.bench.measure import Arm, Result, Sample, compare, used_by

ROWS = 200_000
_COLUMNS = 10
_COUNTER = str(Path(__file__).parent / "providers" / "discard.py")
_OTHER, _MINE = ["dbo.Other"], ["dbo.Orders"]
_ARMS: dict[str, list[Transform]] = {
    "no transform": [],
    "drop, other table": [DropColumns(tables=_OTHER, columns=["c3"])],
    "filter": [FilterRows(where=Comparison(">=", RowField("data", ["c1"]), FixedValue(0)))],
    "drop": [DropColumns(columns=["c3"])],
    "mask with hash": [MaskColumns(columns=["c3"], with_="hash", hash_key="key")],
    "filter, rename, drop, mask": [
        FilterRows(where=Comparison(">=", RowField("data", ["c1"]), FixedValue(0))),
        RenameColumns(tables=_MINE, columns={"c2": "Name"}),
        DropColumns(tables=_MINE, columns=["c3"]),
        MaskColumns(tables=_MINE, columns=["c4"], with_="hash", hash_key="key"),
    ],
}


def run() -> Result:
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines"
        lines.write_bytes(b"".join(_line(number) for number in range(ROWS)))
        arms = [Arm(name, lambda listed=listed: _through(lines, listed)) for name, listed in _ARMS.items()]
        result = compare(
            f"an output's run in the SDK, {ROWS:,} lines of {len(_line(0))} bytes, {_COLUMNS} columns", arms, rounds=5
        )
        cpu_us = {name: 1e6 * statistics.median(each.cpu_s for each in result.samples[name]) / ROWS for name in _ARMS}
        costs = (f"{name} {cost - cpu_us['no transform']:.1f}" for name, cost in cpu_us.items() if _ARMS[name])
        result.note = f"CPU time added per row, in µs: {'; '.join(costs)}."
        return result


def _line(number: int) -> bytes:
    """An update as mssql_cdc writes it."""
    data = {f"c{at}": number if at % 2 else f"value {number} of column {at}" for at in range(_COLUMNS)}
    metadata = {
        "V": 1,
        "TableName": "dbo.Orders",
        "OperationType": "Insert",
        "OperationID": 2,
        "LSN": "0000002a000000180022",
        "Seq": "0000002a000000180021",
        "CommandId": 1,
        "CommitTime": "2024-02-29T23:59:59.123+01:00",
        "Key": ["c1"],
        "Changed": [],
        "Unchanged": [],
        "Id": f"6f9619ff/885578193/0000002a000000180022/1/{number:020x}/2",
    }
    return msgspec.json.encode({"data": data, "metadata": metadata}) + b"\n"


def _through(lines: Path, transforms: list[Transform]) -> Sample:
    used = used_by([sys.executable, "-P", _COUNTER, str(lines), msgspec.json.encode(transforms).decode()])
    rows, wall_s = used.stdout.split()
    if int(rows) != ROWS:
        raise RuntimeError(f"{rows} of {ROWS} rows")
    return Sample(ROWS, float(wall_s), used.cpu_s, used.rss_mib)
