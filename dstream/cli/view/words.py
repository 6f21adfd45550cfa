"""Formats resources, properties and values with the provider's display texts, or generically without them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import Difference, Operation, Resource
from dstream.shown import shown

MARKS: dict[Operation, str] = {
    "create": "+",
    "update": "~",
    "replace": "-/+",
    "delete": "-",
    "refresh": "~",
    "import": "<",
    "same": "=",
}
DONE: dict[Operation, str] = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
    "same": "unchanged",
    "refresh": "refreshed",
    "import": "imported",
}

_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_FEW = 10


def kind(resource: Resource | ListedResource) -> str:
    """The provider's display name of the type; otherwise its last part: 'acme:store:BlobStore' -> 'blob store'"""
    return resource.kind or words(resource.type.rpartition(":")[2])


def label(difference: Difference) -> str:
    return difference.label or words(difference.path)


def old_value(difference: Difference) -> str:
    return difference.old_text or _quoted(difference.old, difference.new) or value(difference.old)


def new_value(difference: Difference) -> str:
    return difference.new_text or _quoted(difference.new, difference.old) or value(difference.new)


def words(name: str) -> str:
    """'maxDeliveryCount' and 'max_delivery_count' -> 'max delivery count'"""
    return _WORD_BORDER.sub(" ", name).lower()


def value(given: Any) -> str:
    """Format a value that has no display text: true as 'on', PT1H30M as '1h30m'."""
    if given is None:
        return "none"
    if isinstance(given, bool):
        return "on" if given else "off"
    if isinstance(given, str):
        return _duration(given) or given or '""'
    if isinstance(given, list) and all(isinstance(each, (str, int, float)) for each in given):
        return ", ".join(value(each) for each in given) or "none"
    return json.dumps(given, ensure_ascii=False)


def change(difference: Difference) -> str:
    """'10 → 5'; '5' for a new property; '10 → unset' for a removed one."""
    if difference.old is None:
        return new_value(difference)
    old, new = old_value(difference), "unset" if difference.new is None else new_value(difference)
    return f"{old}\n→ {new}" if "\n" in old + new else f"{old} → {new}"


def loss(resource: ListedResource) -> str:
    """The provider's note, otherwise 'holds 1,284 messages that would be lost'."""
    if resource.note or not resource.holds:
        return resource.note
    amount = " ".join(part for part in (f"{resource.holds:,}", resource.held) if part)
    return f"holds {amount} that would be lost"


def held(resources: Sequence[ListedResource]) -> str:
    """What the resources hold: 'messages', 'rows and files'; 'data' if their provider does not name it."""
    return " and ".join(dict.fromkeys(each.held or "data" for each in resources))


def few(texts: Sequence[str], separator: str = ", ") -> str:
    """The first few texts, and the number of others."""
    shown = separator.join(texts[:_FEW])
    return shown if len(texts) <= _FEW else f"{shown} and {len(texts) - _FEW:,} more"


def cut(text: str, columns: int) -> str:
    """Return what fits on a line of a terminal that is redrawn in place: a longer text could not be erased."""
    text = shown(text)
    return text if len(text) < columns else f"{text[: max(columns - 2, 0)]}…"


def plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _quoted(text: Any, other: Any) -> str:
    """The text in quotes and with escapes if it differs from the other only in white space; otherwise empty."""
    if not isinstance(text, str) or not isinstance(other, str) or text == other or text.split() != other.split():
        return ""
    return json.dumps(text, ensure_ascii=False)


def _duration(text: str) -> str:
    """'PT1H30M' -> '1h30m'; empty for any other text."""
    match = _DURATION.fullmatch(text)
    if not match or not any(match.groups()):
        return ""
    parts = [f"{float(number):g}{unit}" for number, unit in zip(match.groups(), "dhms", strict=True) if number]
    return "".join(part for part in parts if not part.startswith("0")) or parts[-1]
