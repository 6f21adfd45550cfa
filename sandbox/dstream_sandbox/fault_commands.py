"""`dstream sandbox fault`: bad days of Service Bus and Azure on request, through the admin port's /_sandbox/faults."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import click

from dstream_sandbox.command import command, data_option, examples, open_folder, running_settings, show
from dstream_sandbox.errors import SandboxError
from dstream_sandbox.folder import Settings
from dstream_sandbox.ports import HOST

_TIMEOUT_S = 10.0
_KINDS = {
    "reject": "messages are rejected with --condition",
    "release": "messages are released: not taken, and no error",
    "refuse_attach": "links are refused with --condition",
    "deny_token": "$cbs answers --status (401)",
    "detach": "links are detached with --condition",
    "drop": "the connection is cut, --at before_store or after_store",
    "kill": "the server kills itself, --at before_store or after_store; it is started again",
    "silence": "messages are stored and never answered",
    "delay": "answers come --seconds late",
    "throttle": "more than --rate messages a second are rejected with server-busy",
    "stall": "nothing is read from connections, for --seconds or until cleared",
    "slow": "connections are read at --rate octets a second",
    "refuse_connection": "connections are refused",
    "azure": "the Pulumi engine's requests fail with --code, or are answered --seconds late",
}
_FIELDS = ("entity", "on", "times", "after", "description")
_FIELDS_OF = {
    "reject": ["condition"],
    "refuse_attach": ["condition"],
    "detach": ["condition"],
    "deny_token": ["status"],
    "drop": ["at"],
    "kill": ["at"],
    "delay": ["seconds"],
    "stall": ["seconds"],
    "throttle": ["rate"],
    "slow": ["rate"],
    "azure": ["operation", "when", "code", "seconds"],
}


@click.group(
    epilog=examples(
        "dstream sandbox fault add reject --times 3\ndstream sandbox fault list\ndstream sandbox fault clear"
    )
)
def fault() -> None:
    """Let Service Bus, or Azure, have a bad day, to see how clients take it.

    Faults strike in the order in which they were added, and are gone when the server is started again.
    """


@command(
    fault,
    example="dstream sandbox fault add reject --entity orders --times 3\n"
    "dstream sandbox fault add drop --at after_store --after 10 --times 1\n"
    "dstream sandbox fault add detach --condition amqp:resource-limit-exceeded --times 1\n"
    "dstream sandbox fault add delay --seconds 2\n"
    "dstream sandbox fault add throttle --rate 100\n"
    "dstream sandbox fault add azure --operation create --entity 'orders-*' --code QuotaExceeded --times 1\n"
    "dstream sandbox fault add azure --operation create --seconds 30 --when after",
)
@data_option
@click.argument("kind", type=click.Choice(list(_KINDS)), metavar="KIND")
@click.option("--entity", help="Such as orders or events/Subscriptions/audit; for azure a pattern (default: all).")
@click.option("--on", type=click.Choice(["send", "receive"]), help="Links that send (default), or that receive.")
@click.option("--times", type=click.IntRange(min=1), help="Strike so often, then end (default: until cleared).")
@click.option("--after", type=click.IntRange(min=0), help="Let so many occasions pass unharmed first.")
@click.option("--at", type=click.Choice(["before_store", "after_store"]), help="For drop and kill.")
@click.option("--condition", help="AMQP error condition (default: com.microsoft:server-busy).")
@click.option("--description", help="Text of the error.")
@click.option("--status", type=int, help="For deny_token: status code of $cbs (default: 401).")
@click.option("--seconds", type=click.FloatRange(min=0), help="For delay, stall and azure.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="For throttle and slow.")
@click.option("--operation", type=click.Choice(["create", "read", "update", "delete"]), help="For azure.")
@click.option("--when", type=click.Choice(["before", "after"]), help="For azure: before (default) or after it is done.")
@click.option("--code", help="For azure: Azure's error code, such as QuotaExceeded.")
def add(data: Path, **fields: Any) -> None:
    """Add a fault."""
    wanted = {name: value for name, value in fields.items() if value is not None}
    _show(_ask(running_settings(open_folder(data)), "POST", wanted))


add.help = "Add a fault of one KIND:\n\n\b\n" + "\n".join(f"{kind:<19}{text}" for kind, text in _KINDS.items())


@command(fault, "list", example="dstream sandbox fault list --json")
@data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def list_faults(data: Path, *, as_json: bool) -> None:
    """List the faults that are in force."""
    faults = _ask(running_settings(open_folder(data)), "GET")
    if as_json:
        click.echo(json.dumps({"schema_version": 1, "faults": faults}))
    else:
        _show(faults)


@command(fault, example="dstream sandbox fault clear")
@data_option
def clear(data: Path) -> None:
    """End all faults."""
    _ask(running_settings(open_folder(data)), "DELETE")
    show("No faults are in force.")


def _show(faults: list[dict[str, Any]]) -> None:
    if not faults:
        show("No faults are in force.")
    for each in faults:
        names = [*_FIELDS, *_FIELDS_OF.get(each["kind"], ())]
        if each["kind"] == "azure":
            names.remove("on")
        told = [f"{name}={each[name]}" for name in names if each[name] not in (None, "", 0)]
        click.echo("  ".join([each["kind"], *told]))


def _ask(settings: Settings, method: str, body: object = None) -> list[dict[str, Any]]:
    """Through http.client, which asks no proxy."""
    connection = http.client.HTTPConnection(HOST, settings.admin_port, timeout=_TIMEOUT_S)
    try:
        connection.request(method, "/_sandbox/faults", None if body is None else json.dumps(body))
        answer = connection.getresponse()
        content = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SandboxError(f"Service Bus does not answer on {HOST}:{settings.admin_port}: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise SandboxError(content["error"])
    faults: list[dict[str, Any]] = content["faults"]
    return faults
