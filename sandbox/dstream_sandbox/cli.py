"""The `sandbox` commands: up, down, status, env, sql, peek, receive, load, logs."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click

from dstream_sandbox.environment import environment, shell_exports
from dstream_sandbox.folder import DATABASE, Folder, Settings
from dstream_sandbox.supervisor import SandboxError, Supervisor, detach, stop_running

P = ParamSpec("P")
_EXAMPLES = """\b
Example:
  dstream sandbox up --detach
  eval "$(dstream sandbox env)"
  dstream sandbox sql "SELECT name FROM sys.tables"
  dstream sandbox down
"""

_data = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".dstream/sandbox"),
    show_default=True,
    envvar="DSTREAM_SANDBOX_DATA",
    help="The folder that keeps everything.",
)


@click.group(epilog=_EXAMPLES)
def sandbox() -> None:
    """A local SQL Server with CDC and a local Azure Service Bus.

    For real clients, unmodified. Listens on 127.0.0.1 only and checks the credentials that it made.
    """


def _command(**options: Any) -> Callable[[Callable[P, None]], click.Command]:
    """A command whose SandboxErrors and clients' errors become one message and exit code 1."""

    def decorate(function: Callable[P, None]) -> click.Command:
        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except SandboxError as error:
                raise click.ClickException(str(error)) from error

        return sandbox.command(**options)(guarded)

    return decorate


@_command(epilog="\b\nExample:\n  dstream sandbox up --detach --sql-port 1433")
@_data
@click.option("--detach", "detached", is_flag=True, help="Return when it is ready; `down` ends it.")
@click.option("--sql-port", type=int, help="SQL Server's port (default: chosen free at first, then kept).")
@click.option("--amqp-port", type=int, help="Service Bus over plain AMQP.")
@click.option("--amqps-port", type=int, help="Service Bus over AMQP with TLS.")
@click.option("--admin-port", type=int, help="Service Bus administration, https and http.")
@click.option("--profile", type=click.Choice(["standard", "premium"]), help="The Service Bus tier to act as.")
@click.option("--capture-delay", type=float, help="Seconds from COMMIT until a change is in its change table.")
@click.option("--replay-reads", is_flag=True, help="Serve repeated reads from memory (for benchmarks of readers).")
@click.option("--sink", is_flag=True, help="Service Bus accepts and counts, and stores nothing (for benchmarks).")
def up(
    data: Path, *, detached: bool, replay_reads: bool, sink: bool, capture_delay: float | None, **ports: Any
) -> None:
    """Start it; Ctrl-C ends it."""
    folder = Folder(data.resolve())
    if folder.running():
        raise SandboxError(f"a sandbox runs on {data} already; `dstream sandbox down` ends it")
    settings = folder.make_settings(capture_delay_s=capture_delay, **ports)
    if detached:
        flags = ["--replay-reads"] * replay_reads + ["--sink"] * sink
        detach([f"--data={folder.path}", *flags], folder)
        click.echo(_summary(folder, settings), err=True)
        return
    supervisor = Supervisor(folder, settings, replay_reads=replay_reads, sink=sink)
    supervisor.start()
    click.echo(_summary(folder, settings) + "\nCtrl-C ends it.", err=True)
    supervisor.watch()


@_command(epilog="\b\nExample:\n  dstream sandbox down")
@_data
def down(data: Path) -> None:
    """End it; its data stays."""
    ended = stop_running(Folder(data.resolve()))
    click.echo("The sandbox has ended." if ended else "No sandbox runs here.", err=True)


@_command(epilog="\b\nExample:\n  dstream sandbox status --json")
@_data
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def status(data: Path, *, as_json: bool) -> None:
    """Show what runs, with pids and ports. Exit code 1 when nothing does."""
    folder = Folder(data.resolve())
    settings, running = folder.settings(), folder.running()
    if as_json:
        click.echo(json.dumps(_status(settings, running)))
    elif settings and running:
        click.echo(_summary(folder, settings))
    else:
        click.echo("No sandbox runs here. Start one: dstream sandbox up --detach")
    if not running:
        sys.exit(1)


@_command(epilog='\b\nExample:\n  eval "$(dstream sandbox env)"')
@_data
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of export lines.")
def env(data: Path, *, as_json: bool) -> None:
    """Print the variables through which programs find it."""
    folder = Folder(data.resolve())
    variables = environment(folder, _settings(folder), os.environ)
    click.echo(json.dumps(variables) if as_json else shell_exports(variables), nl=as_json)


@_command(
    epilog="\b\nExamples:\n"
    '  dstream sandbox sql "SELECT COUNT(*) AS n FROM dbo.Orders"\n'
    "  dstream sandbox sql < script.sql"
)
@_data
@click.argument("statement", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row.")
def sql(data: Path, statement: str | None, *, as_json: bool) -> None:
    """Run T-SQL; without STATEMENT read it from stdin, batches divided by GO."""
    settings = _settings(Folder(data.resolve()))
    if statement is None and sys.stdin.isatty():
        _repl(settings, as_json=as_json)
        return
    for batch in _batches(statement if statement is not None else sys.stdin.read()):
        _run_batch(settings, batch, as_json=as_json)


@_command(epilog="\b\nExample:\n  dstream sandbox peek orders --count 3")
@_data
@click.argument("entity")
@click.option("--count", type=click.IntRange(min=1), default=10, show_default=True)
def peek(data: Path, entity: str, count: int) -> None:
    """Look at messages of a queue or of TOPIC/SUBSCRIPTION without taking them: one JSON line each."""
    from dstream_sandbox import clients

    _print_messages(clients.peek(_settings(Folder(data.resolve())), entity, count=count))


@_command(epilog="\b\nExample:\n  dstream sandbox receive orders --count 3")
@_data
@click.argument("entity")
@click.option("--count", type=click.IntRange(min=1), help="At most so many (default: all).")
@click.option("--wait", "wait_s", type=float, default=1.0, show_default=True, help="Seconds to wait for the next one.")
def receive(data: Path, entity: str, count: int | None, wait_s: float) -> None:
    """Take messages off a queue or TOPIC/SUBSCRIPTION: one JSON line each."""
    from dstream_sandbox import clients

    _print_messages(clients.receive(_settings(Folder(data.resolve())), entity, count=count, wait_s=wait_s))


@_command(epilog="\b\nExample:\n  dstream sandbox queue orders --duplicate-detection")
@_data
@click.argument("name")
@click.option("--duplicate-detection", is_flag=True, help="Drop repeats by message id, for ten minutes.")
@click.option("--sessions", is_flag=True, help="Require sessions.")
def queue(data: Path, name: str, *, duplicate_detection: bool, sessions: bool) -> None:
    """Create a queue; left alone when it exists."""
    from azure.core.exceptions import ResourceExistsError

    from dstream_sandbox import clients

    folder = Folder(data.resolve())
    with clients.administration(folder, _settings(folder)) as administration:
        try:
            administration.create_queue(
                name, requires_duplicate_detection=duplicate_detection, requires_session=sessions
            )
        except ResourceExistsError:
            click.echo(f"The queue {name} exists.", err=True)
        else:
            click.echo(f"Created the queue {name}.", err=True)


@_command(epilog="\b\nExample:\n  dstream sandbox load --rows 10000 --rate 500")
@_data
@click.option("--rows", type=click.IntRange(min=1), default=1000, show_default=True, help="Change so many rows.")
@click.option("--rate", type=float, help="Rows a second (default: as fast as it goes).")
@click.option("--seed", type=int, default=1, show_default=True)
def load(data: Path, rows: int, rate: float | None, seed: int) -> None:
    """Write to Customers, Orders and OrderLines (made with CDC when missing): transactions of mixed operations."""
    from dstream_sandbox import clients, workload

    with clients.connect(_settings(Folder(data.resolve()))) as connection:
        workload.create_tables(connection)
        started = time.monotonic()
        written = workload.Load(connection, seed=seed).run(rows, rate=rate)
    seconds = time.monotonic() - started
    click.echo(f"{written.total} rows changed in {written.transactions} transactions, {seconds:.1f} s", err=True)


@_command(epilog="\b\nExample:\n  dstream sandbox logs servicebus")
@_data
@click.argument("server", type=click.Choice(["sqlserver", "servicebus", "supervisor"]), required=False)
def logs(data: Path, server: str | None) -> None:
    """Print what the servers have logged."""
    folder = Folder(data.resolve())
    for name in [server] if server else ["supervisor", "sqlserver", "servicebus"]:
        path = folder.log(name)
        if path.exists():
            click.echo(path.read_text(errors="replace"), nl=False)


def _settings(folder: Folder) -> Settings:
    settings = folder.settings()
    if settings is None or folder.running() is None:
        raise SandboxError("no sandbox runs here; start one: dstream sandbox up --detach")
    return settings


def _summary(folder: Folder, settings: Settings) -> str:
    running = folder.running()
    pids = f"   pids {running.sqlserver}, {running.servicebus}" if running else ""
    return (
        f"SQL Server    127.0.0.1:{settings.sql_port}   database {DATABASE}, CDC enabled\n"
        f"Service Bus   127.0.0.1:{settings.amqp_port} (AMQP), {settings.amqps_port} (TLS), "
        f"{settings.admin_port} (admin)   {settings.profile}\n"
        f"Data          {folder.path}{pids}\n"
        'Use it        eval "$(dstream sandbox env)"'
    )


def _status(settings: Settings | None, running: Any) -> dict[str, Any]:
    if not settings or not running:
        return {"schema_version": 1, "running": False}
    return {
        "schema_version": 1,
        "running": True,
        "supervisor": {"pid": running.supervisor},
        "sqlserver": {"pid": running.sqlserver, "port": settings.sql_port},
        "servicebus": {
            "pid": running.servicebus,
            "amqp_port": settings.amqp_port,
            "amqps_port": settings.amqps_port,
            "admin_port": settings.admin_port,
            "profile": settings.profile,
        },
    }


def _batches(text: str) -> Iterable[str]:
    """A script's batches: divided by lines that hold GO alone, as sqlcmd does."""
    batch: list[str] = []
    for line in text.splitlines():
        if line.strip().upper() == "GO":
            yield "\n".join(batch)
            batch = []
        else:
            batch.append(line)
    if "".join(batch).strip():
        yield "\n".join(batch)


def _run_batch(settings: Settings, batch: str, *, as_json: bool) -> None:
    import pyodbc

    from dstream_sandbox import clients

    try:
        for item in clients.query(settings, batch):
            if isinstance(item, int):
                click.echo(f"{item} rows affected", err=True)
            elif as_json:
                click.echo(json.dumps(item, default=str, ensure_ascii=False))
            else:
                click.echo("\t".join("NULL" if value is None else str(value) for value in item.values()))
    except pyodbc.Error as error:
        raise SandboxError(str(error.args[-1])) from error


def _repl(settings: Settings, *, as_json: bool) -> None:
    click.echo("T-SQL, one batch a line; Ctrl-D ends.", err=True)
    while True:
        try:
            line = input("1> ")
        except (EOFError, KeyboardInterrupt):
            return
        try:
            _run_batch(settings, line, as_json=as_json)
        except SandboxError as error:
            click.echo(f"Error: {error}", err=True)


def _print_messages(messages: Iterable[dict[str, Any]]) -> None:
    from azure.servicebus.exceptions import ServiceBusError

    try:
        for message in messages:
            click.echo(json.dumps(message, ensure_ascii=False))
    except ServiceBusError as error:
        raise SandboxError(error.message) from error
