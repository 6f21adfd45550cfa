"""When a message expires and when it is delivered: the text forms in settings and in events. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from dstream.sdk import Duration

MAX_TTL_S = 4_294_967
"""Limit of a message's time to live, which is sent as 32-bit milliseconds (AMQP 1.0, 3.2.1 `ttl`)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_MS = 253_402_300_799_999
"""The end of the year 9999."""


class DeliveryTime(NamedTuple):
    """When Service Bus is to deliver a message: at a time (Unix, in milliseconds), or so long after it is sent."""

    at_ms: int | None = None
    delay_ms: int | None = None


def ttl_s(text: str) -> int:
    """Parse a time to live such as "90s"; whole seconds. Raises ValueError."""
    seconds = Duration(text)
    if not 1 <= seconds <= MAX_TTL_S:
        raise ValueError(f"must be between 1 second and 49 days, not {text}")
    return int(seconds)


def delivery_time(text: str) -> DeliveryTime:
    """Parse a time in ISO 8601, which is UTC unless it has an offset, or a delay such as "10m". Raises ValueError."""
    try:
        return DeliveryTime(delay_ms=round(Duration(text) * 1000))
    except ValueError:
        pass  # not a delay
    except OverflowError as error:
        raise ValueError(f'"{text}" is too long a delay') from error
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f'"{text}" is neither a time such as 2026-12-01T08:00:00Z nor a delay such as 10m') from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    at_ms = (moment - _EPOCH) // timedelta(milliseconds=1)
    return DeliveryTime(at_ms=max(0, min(_MAX_MS, at_ms)))  # an offset can lead out of the years 1 to 9999
