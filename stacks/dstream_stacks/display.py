"""How settings of queues, topics and subscriptions are shown to users: 'lockDuration: PT30S' as 'lock duration', '30s'.

Pure. Settings have the names that users write, so that users can find them in the configuration.
"""

from __future__ import annotations

import re
from typing import Any, get_args

from dstream_stacks.properties import FOREVER, PROPERTIES, AcceptedRange, EntityProperty, Form, Tier
from dstream_stacks.resource_ids import ROLE_ASSIGNMENT
from dstream_stacks.roles import role_name

_BY_AZURE_NAME = {each.azure: each for each in PROPERTIES}
_TYPES = re.compile(r"(azure-native|dstream):servicebus:(Queue|Topic|Subscription)")
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_TIMES = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_ROLE = (ROLE_ASSIGNMENT, "roleDefinitionId")
_SIZES = ("KB", "MB", "GB", "TB")


def label(resource_type: str, path: str) -> str | None:
    """The name of a property: `lockDuration` -> `lock duration`. None for a property not in the table."""
    if (resource_type, path) == _ROLE:
        return "role"
    found = _find(resource_type, path)
    return None if found is None else found.label or found.name.replace("_", " ")


def text(resource_type: str, path: str, value: Any) -> str | None:
    """A value with its unit: `PT1H30M` -> `1h30m`, 1024 MB -> `1GB`. None for a property not in the table."""
    if (resource_type, path) == _ROLE:
        return role_name(str(value))
    found = _find(resource_type, path)
    return None if found is None else shown(found.form, value)


def shown(form: Form, value: Any) -> str:
    """Format a value given as Azure writes it, or as a number in the form's unit (seconds, megabytes, kilobytes)."""
    if value is None:
        return "none"
    if form == "flag":
        return "on" if value else "off"
    if form == "duration":
        return "never" if value == FOREVER else _time(_seconds(value) if isinstance(value, str) else value)
    if form in ("megabytes", "kilobytes"):
        return _size(int(value), 1 if form == "megabytes" else 0)
    return f"{value:,}" if form == "count" else str(value) or "none"


def range_text(form: Form, limits: AcceptedRange) -> str:
    """`20s to 7d`, `5m or more`, `up to 5m`; empty without limits."""
    low = None if limits.low is None else shown(form, limits.low)
    high = None if limits.high is None else shown(form, limits.high)
    if low and high:
        return f"{low} to {high}"
    return f"{low} or more" if low else f"up to {high}" if high else ""


def choices_in(each: EntityProperty, tier: Tier | None) -> tuple[int, ...]:
    """The values that Azure accepts in this tier or, if the tier is unknown, in any tier."""
    return each.choices if tier in ("Basic", "Standard") else each.choices + each.premium_choices


def accepted(each: EntityProperty, tier: Tier | None) -> str:
    """The values that Azure accepts: `1s to 5m`, `1GB, 2GB, 5GB`. Empty if it accepts any."""
    if each.choices:
        return ", ".join(shown(each.form, choice) for choice in choices_in(each, tier))
    return range_text(each.form, each.range)


def summary(each: EntityProperty) -> str:
    """The description with accepted values and tiers: `how long message ids are remembered; 20s to 7d`."""
    parts = [each.description, accepted(each, "Standard")]
    if each.premium_choices:
        parts.append(f"Premium also {', '.join(shown(each.form, choice) for choice in each.premium_choices)}")
    if each.max_length is not None:
        parts.append(f"up to {each.max_length:,} characters")
    return "; ".join(part for part in [*parts, _tiers(each)] if part)


def _tiers(each: EntityProperty) -> str:
    if len(each.tiers) == 1:
        return f"{each.tiers[0]} only"
    missing = [tier for tier in get_args(Tier) if tier not in each.tiers]
    return f"not in {' or '.join(missing)}" if missing else ""


def _find(resource_type: str, path: str) -> EntityProperty | None:
    return _BY_AZURE_NAME.get(path) if _TYPES.fullmatch(resource_type) else None


def _seconds(duration: str) -> float:
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise ValueError(f'"{duration}" is not an ISO 8601 duration')
    return sum(float(number or 0) * seconds for number, (seconds, _) in zip(match.groups(), _TIMES, strict=True))


def _time(seconds: float) -> str:
    parts = []
    for size, unit in _TIMES[:-1]:
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number:g}{unit}")
    if seconds or not parts:
        parts.append(f"{seconds:g}s")
    return "".join(parts)


def _size(number: int, unit: int) -> str:
    while number and number % 1024 == 0 and unit < len(_SIZES) - 1:
        number, unit = number // 1024, unit + 1
    return f"{number:,}{_SIZES[unit]}"
