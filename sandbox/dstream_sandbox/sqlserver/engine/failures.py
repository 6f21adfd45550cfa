"""What an error ends: the statement, the batch, or the transaction."""

from __future__ import annotations

from dstream_sandbox.sqlserver.engine.errors import UNSUPPORTED
from dstream_sandbox.sqlserver.session import SqlError

_BATCH = frozenset(
    {
        UNSUPPORTED, 102, 104, 105, 107, 108, 109, 110, 113, 116, 120, 121, 130, 137, 145, 155, 156, 174, 189, 195,
        205, 206, 207, 208, 209,
        213, 241, 242, 243, 244, 245, 248, 257, 258, 259, 260, 263, 264, 271, 272, 273, 291, 295, 306, 313, 402, 403,
        529, 530, 2750, 3952, 4104,
        4112, 4121, 4145, 8101, 8102, 8114, 8117, 8120, 8158, 8169, 8170, 8178, 1014, 1062, 1205, 3960, 3998, 235,
        293, 5074, 50000_000,
    }
)  # fmt: skip
"""Errors of compilation and conversion end the batch (Erland Sommarskog, "Error and Transaction Handling in SQL
Server", part 2, "What actions do errors cause?"). 50000_000 stands for THROW."""
_CONVERSIONS = frozenset({241, 242, 244, 245, 248, 8114, 8169, 235, 293, 295})


def aborts_batch(error: SqlError) -> bool:
    return error.number in _BATCH or error.severity >= 20 or getattr(error, "thrown", False)


def dooms(error: SqlError) -> bool:
    """Whether the error, raised inside TRY, leaves the transaction uncommittable."""
    return error.number in _CONVERSIONS or error.number == UNSUPPORTED
