"""`dstream sandbox fault`: injects faults through /_sandbox/faults, into Service Bus and Azure on the admin port, into
SQL Server on its own port."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import click

from dstream_sandbox.command import command, data_option, examples, open_folder, running_settings, show
from dstream_sandbox.control_access import authorization, ensure_token
from dstream_sandbox.errors import SandboxError
from dstream_sandbox.fault_list import FAULTS_PATH
from dstream_sandbox.folder import Folder
from dstream_sandbox.ports import HOST
from dstream_sandbox.printable import printable

_TIMEOUT_S = 10.0
_KINDS = {
    "reject": "reject messages with --condition",
    "release": "release messages instead of accepting or rejecting them",
    "refuse_attach": "refuse new links with --condition",
    "deny_token": "answer token requests with --status",
    "detach": "detach links with --condition",
    "drop": "close the connection, --at before_store, after_store or idle",
    "kill": "kill the server process, --at before_store or after_store; it restarts",
    "silence": "never respond to messages, --at before_store or after_store",
    "delay": "delay responses by --seconds",
    "throttle": "reject messages above --rate per second with server-busy",
    "stall": "stop reading from connections, for --seconds or until cleared",
    "slow": "read from connections at --rate bytes per second",
    "refuse_connection": "refuse connections",
    "azure": "fail the Pulumi engine's requests with --code, or delay them by --seconds",
    "hide_rule": "after a change of a $Default rule, fail the engine's reads of it for --seconds",
    "sql": "disturb SQL Server's clients: fail with error --number, or take an --action",
}
_FIELDS = ("entity", "on", "times", "after", "description")
_FIELDS_OF = {
    "reject": ["condition", "at", "message_id"],
    "release": ["at"],
    "refuse_attach": ["condition"],
    "detach": ["condition", "at"],
    "deny_token": ["status"],
    "drop": ["at"],
    "kill": ["at"],
    "silence": ["at"],
    "delay": ["seconds"],
    "stall": ["seconds"],
    "throttle": ["rate"],
    "slow": ["rate"],
    "azure": ["operation", "when", "code", "seconds"],
    "hide_rule": ["seconds"],
}
_SQL_FIELDS = ("action", "number", "at", "statement", "entity", "times", "after", "seconds", "description")


@click.group(
    epilog=examples(
        "dstream sandbox fault add reject --times 3\ndstream sandbox fault list\ndstream sandbox fault clear"
    )
)
def fault() -> None:
    """Inject faults into SQL Server, Service Bus or Azure.

    Use them to see how clients handle failures. Faults apply in the order they were added. Restarting the server
    clears them.
    """


@command(
    fault,
    example="dstream sandbox fault add reject --entity orders --times 3\n"
    "dstream sandbox fault add reject --condition com.microsoft:argument-error --message-id dbo.Orders/7\n"
    "dstream sandbox fault add drop --at after_store --after 10 --times 1\n"
    "dstream sandbox fault add detach --condition amqp:resource-limit-exceeded --times 1\n"
    "dstream sandbox fault add delay --seconds 2\n"
    "dstream sandbox fault add throttle --rate 100\n"
    "dstream sandbox fault add azure --operation create --entity 'orders-*' --code QuotaExceeded --times 1\n"
    "dstream sandbox fault add azure --operation create --seconds 30 --when after\n"
    "dstream sandbox fault add sql --number 1205 --statement _CT --times 1\n"
    "dstream sandbox fault add sql --number 40613 --at login --seconds 30",
)
@data_option
@click.argument("kind", type=click.Choice(list(_KINDS)), metavar="KIND")
@click.option(
    "--entity",
    help="Entity, e.g. orders or events/Subscriptions/audit; for azure, a pattern; for sql, a database (default: all).",
)
@click.option("--on", type=click.Choice(["send", "receive"]), help="Affect sending (default) or receiving links.")
@click.option("--times", type=click.IntRange(min=1), help="Number of times to apply (default: until cleared).")
@click.option("--after", type=click.IntRange(min=0), help="Number of operations to let through first.")
@click.option(
    "--at",
    type=click.Choice(["before_store", "after_store", "idle", "login", "statement", "result"]),
    help="For reject, release, detach, drop, kill and silence: before or after the message is stored; for detach and "
    "drop also idle, at once. For sql: at a login, at a statement (default), or after some rows of its result.",
)
@click.option("--condition", help="AMQP error condition (default: com.microsoft:server-busy).")
@click.option("--description", help="Error description.")
@click.option("--message-id", help="For reject: only transfers that contain a message with this id.")
@click.option("--status", type=int, help="For deny_token: status code (default: 401).")
@click.option("--seconds", type=click.FloatRange(min=0), help="Duration, for delay, stall, azure, hide_rule and sql.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Rate, for throttle and slow.")
@click.option(
    "--operation", type=click.Choice(["create", "read", "update", "delete"]), help="For azure: the operation to affect."
)
@click.option(
    "--when",
    type=click.Choice(["before", "after"]),
    help="For azure: before (default) or after the operation.",
)
@click.option("--code", help="For azure: error code, e.g. QuotaExceeded.")
@click.option("--number", type=click.IntRange(min=1), help="For sql: error number, e.g. 1205.")
@click.option(
    "--action",
    type=click.Choice(["drop", "silence", "delay", "failover"]),
    help="For sql, instead of an error: close the connection, never answer, answer after --seconds, or disconnect all "
    "clients and restore --entity from its backup NAME.bak.",
)
@click.option("--statement", metavar="TEXT", help="For sql: only statements that contain this text.")
def add(data: Path, **fields: Any) -> None:
    """Add a fault."""
    wanted = {name: value for name, value in fields.items() if value is not None}
    folder = open_folder(data)
    settings = running_settings(folder)
    _show(_ask(folder, settings.sql_port if fields["kind"] == "sql" else settings.admin_port, "POST", wanted))


add.help = "Add a fault of one KIND:\n\n\b\n" + "\n".join(f"{kind:<19}{text}" for kind, text in _KINDS.items())


@command(fault, "list", example="dstream sandbox fault list --json")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def list_faults(data: Path, *, as_json: bool) -> None:
    """List the active faults."""
    folder = open_folder(data)
    settings = running_settings(folder)
    faults = [*_ask(folder, settings.admin_port, "GET"), *_ask(folder, settings.sql_port, "GET")]
    if as_json:
        click.echo(json.dumps({"schema_version": 1, "faults": faults}))
    else:
        _show(faults)


@command(fault, example="dstream sandbox fault clear")
@data_option
def clear(data: Path) -> None:
    """Clear all faults."""
    folder = open_folder(data)
    settings = running_settings(folder)
    for port in (settings.admin_port, settings.sql_port):
        _ask(folder, port, "DELETE")
    show("No active faults.")


def _show(faults: list[dict[str, Any]]) -> None:
    if not faults:
        show("No active faults.")
    for each in faults:
        names = [*_SQL_FIELDS] if each["kind"] == "sql" else [*_FIELDS, *_FIELDS_OF.get(each["kind"], ())]
        if each["kind"] in ("azure", "hide_rule"):
            names.remove("on")
        shown = [f"{name}={each[name]}" for name in names if each[name] not in (None, "", 0)]
        click.echo(printable("  ".join([each["kind"], *shown])))


def _ask(folder: Folder, port: int, method: str, body: object = None) -> list[dict[str, Any]]:
    """Send a request with http.client, which ignores proxy settings."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_TIMEOUT_S)
    try:
        headers = authorization(ensure_token(folder.control_token))
        connection.request(method, FAULTS_PATH, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SandboxError(f"the sandbox is not responding on {HOST}:{port}: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise SandboxError(content["error"])
    faults: list[dict[str, Any]] = content["faults"]
    return faults
