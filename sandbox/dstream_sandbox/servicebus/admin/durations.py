"""Durations and times in the admin API's format (XML Schema duration and dateTime, ISO 8601)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from dstream_sandbox.servicebus.broker.descriptions import FOREVER_S

__all__ = ["format_duration", "format_moment", "parse_duration", "parse_moment"]

_FOREVER = "P10675199DT2H48M5.4775807S"
_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_NEVER = "0001-01-01T00:00:00Z"


def parse_duration(text: str) -> float:
    """Return seconds. Durations that SDKs round from the longest one count as the longest. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None or text[-1] in "PT":
        raise ValueError(f"'{text}' is not a valid time span")
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    total = days * 86400 + hours * 3600 + minutes * 60 + seconds
    return FOREVER_S if total >= int(FOREVER_S) else total


def format_duration(seconds: float) -> str:
    if seconds >= int(FOREVER_S):
        return _FOREVER
    rest, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, secs = divmod(rest, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    fraction = f".{milliseconds:03d}".rstrip("0") if milliseconds else ""
    time = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    time += f"{secs}{fraction}S" if secs or fraction else ""
    if not days and not time:
        return "PT0S"
    return "P" + (f"{days}D" if days else "") + (f"T{time}" if time else "")


def parse_moment(text: str) -> float:
    """Return Unix time; without a zone, the text is in UTC. Raises ValueError."""
    moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00"))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp())


def format_moment(seconds: float) -> str:
    """Format Unix time; 0 means never."""
    if not seconds:
        return _NEVER
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
