"""The `dstream sandbox` command group, and the commands that start, show and stop the sandbox."""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import click

from dstream_sandbox.command import command, data_option, examples, open_folder, running_settings, show
from dstream_sandbox.entra_tokens import SERVICE_BUS, SQL, issue
from dstream_sandbox.errors import SandboxError
from dstream_sandbox.fault_commands import fault
from dstream_sandbox.folder import DATABASE, Folder, Running, Settings
from dstream_sandbox.message_commands import peek, queue, receive
from dstream_sandbox.printable import printable
from dstream_sandbox.sql_commands import load, sql

_PORT = click.IntRange(1, 65535)
_SERVERS = ("supervisor", "sqlserver", "servicebus")
_TOKEN_S = 3600
_FOLLOW_INTERVAL_S = 0.1


@click.group(
    epilog=examples(
        "dstream sandbox up --detach\n"
        'eval "$(dstream sandbox env)"\n'
        'dstream sandbox sql "SELECT name FROM sys.tables"\n'
        "dstream sandbox down"
    )
)
def sandbox() -> None:
    """A local SQL Server with CDC and a local Azure Service Bus.

    Real clients work unmodified. The servers listen only on 127.0.0.1 and require the generated credentials.
    """


@command(sandbox, example="dstream sandbox up --detach --sql-port 1433")
@data_option
@click.option("--detach", "detached", is_flag=True, help="Run in the background; return when ready.")
@click.option("--sql-port", type=_PORT, help="SQL Server port (default: a free port, kept for later starts).")
@click.option("--amqp-port", type=_PORT, help="Service Bus port for plain AMQP.")
@click.option("--amqps-port", type=_PORT, help="Service Bus port for AMQP over TLS.")
@click.option("--admin-port", type=_PORT, help="Service Bus administration port (HTTPS and HTTP).")
@click.option("--azure-port", type=_PORT, help="Port of the Azure API for the Pulumi engine.")
@click.option(
    "--profile", type=click.Choice(["standard", "premium"]), help="Service Bus tier to emulate; kept for later starts."
)
@click.option(
    "--capture-delay",
    "capture_delay_s",
    type=click.FloatRange(min=0),
    help="Seconds from COMMIT to the row in the change table (default: 0); kept for later starts.",
)
@click.option("--replay-reads", is_flag=True, help="Serve repeated reads from memory, for benchmarking readers.")
@click.option("--sink", is_flag=True, help="Accept and count messages without storing them, for benchmarks.")
def up(data: Path, *, detached: bool, replay_reads: bool, sink: bool, **given: Any) -> None:
    """Start the sandbox; press Ctrl-C to stop it."""
    os.umask(0o077)  # logs, too, are only for the user
    folder = open_folder(data)
    if detached:
        _detach(folder, replay_reads=replay_reads, sink=sink, **given)
        return
    from dstream_sandbox.supervisor import Supervisor

    logging.basicConfig(format="%(asctime)s %(message)s")
    supervisor = Supervisor(folder, replay_reads=replay_reads, sink=sink, **given)
    supervisor.run(
        on_ready=lambda: show(_summary(folder, supervisor.settings, folder.running()), "Press Ctrl-C to stop it."),
        on_stop=lambda: click.echo("Stopping the sandbox; its data is kept.", err=True),
    )


@command(sandbox, example="dstream sandbox down")
@data_option
def down(data: Path) -> None:
    """Stop the sandbox and keep its data."""
    from dstream_sandbox.background import stop_running

    folder = open_folder(data)
    show("The sandbox has stopped." if stop_running(folder) else f"No sandbox is running in {folder.path}.")


@command(sandbox, example="dstream sandbox status --json")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def status(data: Path, *, as_json: bool) -> None:
    """Show whether the sandbox is running, with pids and ports. Exits with 1 if it is not."""
    folder = open_folder(data)
    settings, running = folder.settings(), folder.running()
    if as_json:
        click.echo(json.dumps(_status(folder, settings, running)))
    elif settings and running:
        click.echo(_summary(folder, settings, running))
    else:
        click.echo(f"No sandbox is running in {folder.path}. Start one: dstream sandbox up --detach")
    if not running:
        sys.exit(1)


@command(sandbox, example='eval "$(dstream sandbox env)"\ndstream sandbox env --json')
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of export lines.")
def env(data: Path, *, as_json: bool) -> None:
    """Print the environment variables for connecting to the sandbox."""
    from dstream_sandbox.environment import environment, shell_exports

    folder = open_folder(data)
    variables = environment(folder, running_settings(folder), os.environ)
    click.echo(json.dumps(variables) if as_json else shell_exports(variables), nl=as_json)


@command(
    sandbox,
    example="dstream sandbox token 5f0c1f6e-6b0a-4b6b-9a52-0d3f6f1f8a11\n"
    f"dstream sandbox token 5f0c1f6e-6b0a-4b6b-9a52-0d3f6f1f8a11 --resource {SQL}",
)
@data_option
@click.argument("principal_id")
@click.option(
    "--resource",
    type=click.Choice([SERVICE_BUS, SQL]),
    default=SERVICE_BUS,
    show_default=True,
    metavar="URL",
    callback=lambda _context, _option, value: value.rstrip("/"),
    help=f"For Service Bus or SQL Server ({SQL}).",
)
def token(data: Path, principal_id: str, resource: str) -> None:
    """Print an Entra ID token of an identity.

    The format is that of `az account get-access-token`.
    """
    expires_on = int(time.time()) + _TOKEN_S
    settings = running_settings(open_folder(data))
    key = settings.sql_password if resource == SQL else settings.servicebus_key
    click.echo(json.dumps({"accessToken": issue(key, resource, principal_id, expires_on), "expires_on": expires_on}))


@command(sandbox, example="dstream sandbox logs\ndstream sandbox logs servicebus --follow")
@data_option
@click.argument("server", type=click.Choice(_SERVERS), required=False)
@click.option("-f", "--follow", is_flag=True, help="Keep printing new lines until Ctrl-C.")
def logs(data: Path, server: str | None, *, follow: bool) -> None:
    """Print the logs of the servers."""
    folder = open_folder(data)
    names = [server] if server else list(_SERVERS)
    if not folder.log("supervisor").parent.is_dir():
        raise SandboxError(f"no sandbox has been started in {folder.path}")
    positions = dict.fromkeys(names, 0)
    while True:
        for name in names:
            positions[name] = _print_log(folder.log(name), positions[name])
        if not follow:
            return
        time.sleep(_FOLLOW_INTERVAL_S)


for each in (sql, load, peek, receive, queue, fault):
    sandbox.add_command(each)


def _detach(folder: Folder, *, replay_reads: bool, sink: bool, **given: Any) -> None:
    from dstream_sandbox.background import detach

    if folder.running():
        raise SandboxError(f"a sandbox is already running in {folder.path}; stop it with: dstream sandbox down")
    options = [f"--{_option(name)}={value}" for name, value in given.items() if value is not None]
    detach([*options, *["--replay-reads"] * replay_reads, *["--sink"] * sink], folder)
    show(_summary(folder, running_settings(folder), folder.running()))


def _option(name: str) -> str:
    return name.removesuffix("_s").replace("_", "-")


def _summary(folder: Folder, settings: Settings, running: Running | None) -> str:
    sqlserver = running.sqlserver if running else None
    servicebus = running.servicebus if running else None
    return (
        f"SQL Server    127.0.0.1:{settings.sql_port}   database {DATABASE}, CDC enabled   {_pid(sqlserver)}\n"
        f"Service Bus   127.0.0.1:{settings.amqp_port} (AMQP), {settings.amqps_port} (TLS), "
        f"{settings.admin_port} (admin)   {settings.profile}   {_pid(servicebus)}\n"
        f"Azure         127.0.0.1:{settings.azure_port} (for the Pulumi engine)\n"
        f"Data          {folder.path}\n"
        f'Use it        eval "$({_env_command(folder)})"'
    )


def _env_command(folder: Folder) -> str:
    """The command that prints this sandbox's variables; it needs the data folder unless that is the default."""
    default = Path(os.environ.get("DSTREAM_SANDBOX_DATA") or ".dstream/sandbox").resolve()
    option = [] if folder.path == default else ["--data", shlex.quote(str(folder.path))]
    return " ".join(["dstream", "sandbox", "env", *option])


def _pid(pid: int | None) -> str:
    return f"pid {pid}" if pid else "restarting; see `dstream sandbox logs supervisor`"


def _status(folder: Folder, settings: Settings | None, running: Running | None) -> dict[str, Any]:
    if not settings or not running:
        return {"schema_version": 1, "running": False, "data": str(folder.path)}
    return {
        "schema_version": 1,
        "running": True,
        "data": str(folder.path),
        "supervisor": {"pid": running.supervisor},
        "sqlserver": {"pid": running.sqlserver, "port": settings.sql_port},
        "servicebus": {
            "pid": running.servicebus,
            "amqp_port": settings.amqp_port,
            "amqps_port": settings.amqps_port,
            "admin_port": settings.admin_port,
            "azure_port": settings.azure_port,
            "profile": settings.profile,
        },
    }


def _print_log(path: Path, position: int) -> int:
    """Print the log from `position` on. Return the new position."""
    if not path.exists():
        return position
    with path.open("rb") as file:
        file.seek(position)
        data = file.read()
    click.echo(printable(data.decode("utf-8", "backslashreplace"), keeps="\n\t"), nl=False)
    return position + len(data)
