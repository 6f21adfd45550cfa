"""Settings for rows that cannot be delivered: what to do with them, and where to keep them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from dstream_stacks.naming import is_entity_name
from msgspec import Meta

from dstream.sdk.errors import ConfigError

OnErrorAction = Literal["fail", "dead_letter"]


class OnError(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to do with a row that cannot be delivered."""

    oversize: Annotated[
        OnErrorAction | None, Meta(description="a row that is too large for a message; default: fail")
    ] = None
    refused: Annotated[
        OnErrorAction, Meta(description="a row that Service Bus refuses for good, or that has no valid destination")
    ] = "fail"


class DeadLetterPlace(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where to keep rows that cannot be delivered."""

    file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="JSON Lines file; one line is appended per rejected row"),
    ] = None
    queue: Annotated[
        str | None, Meta(description="an existing queue of the same namespace, without sessions, instead of a file")
    ] = None
    max_rows: Annotated[
        int, Meta(ge=1, description="stop after this many rejected rows, counted from each start of the provider")
    ] = 1000


@dataclass(frozen=True, slots=True)
class DeadLetterPolicy:
    """The settings, checked. With `file` and `queue` both None, rows that cannot be delivered stop the stream."""

    oversize: OnErrorAction = "fail"
    refused: OnErrorAction = "fail"
    file: str | None = None
    queue: str | None = None
    max_rows: int = 1000

    @property
    def keeps_rows(self) -> bool:
        return "dead_letter" in (self.oversize, self.refused)


def dead_letter_policy(
    on_error: OnError, dead_letter: DeadLetterPlace | None, on_oversize: OnErrorAction | None = None
) -> DeadLetterPolicy:
    """Return the policy. `on_oversize` is the older name of `on_error.oversize`. Raises ConfigError for a conflict."""
    if on_oversize is not None and on_error.oversize is not None:
        raise ConfigError(
            "servicebus.two_policies",
            "on_oversize and on_error.oversize are both set",
            hint="Remove on_oversize, the older name.",
            config_path="on_oversize",
        )
    oversize = on_error.oversize or on_oversize or "fail"
    if dead_letter is None:
        if "dead_letter" in (oversize, on_error.refused):
            raise ConfigError(
                "servicebus.no_dead_letter",
                "dead_letter is required to keep rows that cannot be delivered",
                hint='Add dead_letter { file = "rejected.jsonl" }.',
                config_path="dead_letter",
            )
        return DeadLetterPolicy()
    if (dead_letter.file is None) == (dead_letter.queue is None):
        raise ConfigError(
            "servicebus.bad_dead_letter",
            "dead_letter needs either file or queue",
            hint='Use dead_letter { file = "rejected.jsonl" } or dead_letter { queue = "orders-rejected" }.',
            config_path="dead_letter",
        )
    if dead_letter.queue is not None and not is_entity_name(dead_letter.queue):
        raise ConfigError(
            "servicebus.bad_entity_name",
            f'"{dead_letter.queue}" is not a valid entity name',
            hint="Use at most 260 letters, digits and . - _ /, starting and ending with a letter or digit.",
            config_path="dead_letter.queue",
        )
    return DeadLetterPolicy(oversize, on_error.refused, dead_letter.file, dead_letter.queue, dead_letter.max_rows)
