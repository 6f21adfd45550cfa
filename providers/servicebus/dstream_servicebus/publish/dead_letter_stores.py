"""Opens the store that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dstream.sdk import DeadLetterStore
from dstream.sdk.errors import ConfigError
from dstream_servicebus.config import Config, dead_letters
from dstream_servicebus.publish.file_dead_letters import FileDeadLetters
from dstream_servicebus.publish.rejections import RejectedRows
from dstream_servicebus.publish.replay import Replay

if TYPE_CHECKING:  # slow to import, and not needed to list dead letters
    from dstream_servicebus.publish.publication import Publication


def open_store(
    config: Config,
    stack: Callable[[], Mapping[str, Any] | None],
    publication: Callable[[RejectedRows], Publication],
    *,
    exclusive: bool,
) -> DeadLetterStore:
    """`stack`: returns the stack's outputs; `publication`: creates what replays rows. Raises ConfigError if the task
    keeps no dead letters, LockedError if `exclusive` and another command removes some."""
    policy = dead_letters(config)
    replay = Replay(publication)
    if policy.file is not None:
        return FileDeadLetters(policy.file, replay, exclusive=exclusive)
    if policy.queue is None:
        raise ConfigError(
            "servicebus.no_dead_letter",
            "the task keeps no dead letters: rows that cannot be delivered stop it",
            hint='Add dead_letter { file = "rejected.jsonl" } and on_error { refused = "dead_letter" }.',
            config_path="dead_letter",
        )
    from dstream_servicebus.access import access
    from dstream_servicebus.connection import Connector
    from dstream_servicebus.publish.queue_dead_letters import QueueDeadLetters

    return QueueDeadLetters(policy.queue, Connector(access(config, stack())).client, replay)
