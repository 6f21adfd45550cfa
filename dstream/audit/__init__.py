"""The audit log: one JSON line before and one after each change that a command makes, chained by hash."""

from dstream.audit._chain import AuditChain, check_chain
from dstream.audit._entry import AuditedError, AuditEntry, AuditOrigin, decode_entry
from dstream.audit._log import AuditLog, read_lines
from dstream.audit._origin import origin

__all__ = [
    "AuditChain",
    "AuditEntry",
    "AuditLog",
    "AuditOrigin",
    "AuditedError",
    "check_chain",
    "decode_entry",
    "origin",
    "read_lines",
]
