"""Provider protocol, version 1: messages, framing and handshake. Pure: no I/O, standard library and msgspec only."""

PROTOCOL_VERSION = 1
ENV_PROTOCOL = "DSTREAM_PROTOCOL"
"""Set to "1" by a host that speaks this protocol; not set by the original host."""

CONTROL_PREFIX = b'{"dstream":'
"""A line that starts with exactly these bytes is a control line; every other line is data."""

MAX_CHECKPOINT_LINE = 4 * 1024 * 1024
MAX_CONTROL_LINE = 64 * 1024
DEFAULT_MAX_LINE = 16 * 1024 * 1024
"""Limits in bytes without the newline: for checkpoint lines, other control lines, and data lines (task setting
max_line)."""

HEARTBEAT_INTERVAL_S = 10.0
"""How often a provider sends a heartbeat, from its own thread."""

ENV_HEARTBEAT = "DSTREAM_HEARTBEAT_S"
"""Requests a different heartbeat interval; a provider may ignore it."""
