"""Provider protocol, version 1: messages, framing and handshake. Pure: no I/O, standard library and msgspec only."""

PROTOCOL_VERSION = 1
ENV_PROTOCOL = "DSTREAM_PROTOCOL"
"""Set to "1" by a host of this protocol; absent under the original host."""

CONTROL_PREFIX = b'{"dstream":'
"""A line that begins with exactly these bytes is a control line; everything else is data."""

MAX_CHECKPOINT_LINE = 4 * 1024 * 1024
MAX_CONTROL_LINE = 64 * 1024
DEFAULT_MAX_LINE = 16 * 1024 * 1024
"""Limits in bytes without the newline: checkpoint lines, other control lines, data lines (task attribute max_line)."""

HEARTBEAT_INTERVAL_S = 10.0
"""How often a provider says that it lives, from a thread of its own."""

ENV_HEARTBEAT = "DSTREAM_HEARTBEAT_S"
"""Asks for heartbeats at another interval; a provider may heed it."""
