"""`dstream sandbox peek`, `receive` and `queue`: the commands that use Service Bus."""

from __future__ import annotations

from pathlib import Path

import click

from dstream_sandbox.command import command, data_option, open_folder, running_settings, show
from dstream_sandbox.printable import printable

_group = click.Group()
_dead_letter = click.option("--dead-letter", is_flag=True, help="Use the dead-letter queue of ENTITY.")
_session = click.option("--session", help="Only messages of this session.")


@command(_group, example="dstream sandbox peek orders --count 3\ndstream sandbox peek events/audit --dead-letter")
@data_option
@click.argument("entity")
@click.option("--count", type=click.IntRange(min=1), default=10, show_default=True, help="Maximum number of messages.")
@_dead_letter
@_session
def peek(data: Path, entity: str, count: int, session: str | None, *, dead_letter: bool) -> None:
    """Show messages without removing them.

    ENTITY is a queue or TOPIC/SUBSCRIPTION. Prints one JSON line per message.
    """
    from dstream_sandbox import messages

    folder = open_folder(data)
    settings = running_settings(folder)
    found = messages.find(folder, settings, entity, dead_letter=dead_letter)
    for line in messages.peek(settings, found, session=session, count=count):
        click.echo(printable(line))


@command(_group, example="dstream sandbox receive orders --count 3\ndstream sandbox receive events/audit --wait 10")
@data_option
@click.argument("entity")
@click.option("--count", type=click.IntRange(min=1), help="Maximum number of messages (default: all).")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Seconds to wait for the next message.",
)
@_dead_letter
@_session
def receive(
    data: Path, entity: str, count: int | None, wait_s: float, session: str | None, *, dead_letter: bool
) -> None:
    """Receive and remove messages.

    ENTITY is a queue or TOPIC/SUBSCRIPTION. Prints one JSON line per message, then completes the message.
    """
    from dstream_sandbox import messages

    folder = open_folder(data)
    settings = running_settings(folder)
    found = messages.find(folder, settings, entity, dead_letter=dead_letter)
    for line in messages.receive(settings, found, session=session, count=count, wait_s=wait_s):
        click.echo(printable(line))


@command(_group, example="dstream sandbox queue orders --duplicate-detection")
@data_option
@click.argument("name")
@click.option("--duplicate-detection", is_flag=True, help="Drop messages that repeat an id within ten minutes.")
@click.option("--sessions", is_flag=True, help="Require sessions.")
def queue(data: Path, name: str, *, duplicate_detection: bool, sessions: bool) -> None:
    """Create a queue; leave an existing one unchanged."""
    from azure.core.exceptions import ResourceExistsError

    from dstream_sandbox import clients, messages

    folder = open_folder(data)
    settings = running_settings(folder)
    with messages.refusals(), clients.administration(folder, settings) as administration:
        try:
            administration.create_queue(
                name, requires_duplicate_detection=duplicate_detection, requires_session=sessions
            )
        except ResourceExistsError:
            show(f"Queue {name} already exists; left unchanged.")
        else:
            show(f"Created queue {name}.")
