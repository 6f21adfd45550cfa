"""Finds the settings inside `config = local.common`, so that each can be evaluated without the others. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dstream.config.hcl.source import SourceFile
from dstream.config.hcl.syntax import Call, Expression, GetAttribute, Literal, Name, ObjectOf

Written = tuple[SourceFile, Expression]
"""An expression with the file that it is written in."""


def written_settings(written: Written, local_values: Mapping[str, Written]) -> dict[str, Written] | None:
    """Return the expression of each setting; None unless they are written as an object, as a local that is one, or as
    `merge()` of these."""
    source, expression = written
    match expression:
        case ObjectOf(items=items):
            found = {str(key.value): (source, value) for key, value in items if isinstance(key, Literal)}
            return found if len(found) == len(items) else None
        case Name(name=name) | GetAttribute(target=Name(name="local"), name=name) if name in local_values:
            others = {other: value for other, value in local_values.items() if other != name}  # a cycle ends here
            return written_settings(local_values[name], others)
        case Call(name="merge", expand=False, arguments=arguments):
            return _merged([(source, each) for each in arguments], local_values)
    return None


def _merged(parts: Sequence[Written], local_values: Mapping[str, Written]) -> dict[str, Written] | None:
    merged: dict[str, Written] = {}
    for part in parts:
        found = written_settings(part, local_values)
        if found is None:
            return None
        merged |= found
    return merged
