"""Real clients of the sandbox, as anybody would write them: pyodbc with Microsoft's driver, azure-servicebus."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dstream_sandbox.environment import admin_connection_string, odbc_connection_string, servicebus_connection_string
from dstream_sandbox.folder import DATABASE, Folder, Settings

if TYPE_CHECKING:
    import pyodbc
    from azure.servicebus import ServiceBusClient, ServiceBusReceivedMessage
    from azure.servicebus.management import ServiceBusAdministrationClient


def connect(settings: Settings, *, database: str = DATABASE, autocommit: bool = True) -> pyodbc.Connection:
    """A connection as sa. Raises pyodbc.Error."""
    import pyodbc

    pyodbc.pooling = False
    text = odbc_connection_string(settings).replace(f"Database={DATABASE}", f"Database={database}")
    return pyodbc.connect(f"DRIVER={odbc_driver()};{text}", autocommit=autocommit)


def odbc_driver() -> str:
    """The path of msodbcsql18 inside the wheel that ships it."""
    spec = importlib.util.find_spec("mssql_python_odbc")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("mssql-python-odbc is not installed")
    root = Path(spec.submodule_search_locations[0])
    family = {"linux": "linux", "darwin": "macos"}.get(sys.platform, "windows")
    machine = {"aarch64": "arm64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    found = [
        path for path in root.rglob("*msodbcsql*18*") if path.suffix in (".so", ".dylib", ".dll") or ".so." in path.name
    ]
    fitting = [path for path in found if family in path.parts and machine in path.parts]
    preferred = [path for path in fitting if "debian_ubuntu" in path.parts] or fitting or found
    if not preferred:
        raise ModuleNotFoundError(f"no msodbcsql18 in {root}")
    return str(preferred[0])


def prepare_database(settings: Settings) -> None:
    """Create the database and enable CDC on it, unless that was done before."""
    with contextlib.closing(connect(settings, database="master")) as master:
        master.execute(f"IF DB_ID(N'{DATABASE}') IS NULL CREATE DATABASE [{DATABASE}]")
    with contextlib.closing(connect(settings)) as connection:
        enabled = connection.execute("SELECT is_cdc_enabled FROM sys.databases WHERE name = DB_NAME()").fetchval()
        if not enabled:
            connection.execute("EXEC sys.sp_cdc_enable_db")


def query(settings: Settings, sql: str) -> Iterator[dict[str, Any] | int]:
    """Each row of each result set as a dict, and each statement's row count, in order. Raises pyodbc.Error."""
    with contextlib.closing(connect(settings)) as connection:
        cursor = connection.execute(sql)
        while True:
            if cursor.description:
                names = [column[0] for column in cursor.description]
                for row in cursor:
                    yield dict(zip(names, row, strict=True))
            elif cursor.rowcount >= 0:
                yield cursor.rowcount
            if not cursor.nextset():
                return


def servicebus(settings: Settings) -> ServiceBusClient:
    from azure.servicebus import ServiceBusClient

    return ServiceBusClient.from_connection_string(servicebus_connection_string(settings))


def administration(folder: Folder, settings: Settings) -> ServiceBusAdministrationClient:
    from azure.servicebus.management import ServiceBusAdministrationClient

    return ServiceBusAdministrationClient.from_connection_string(
        admin_connection_string(settings), connection_verify=str(folder.ca_file)
    )


def receive(settings: Settings, entity: str, *, count: int | None, wait_s: float) -> Iterator[dict[str, Any]]:
    """Take messages off a queue (or `topic/subscription`): at most `count`, until none comes for `wait_s` seconds."""
    from azure.servicebus import ServiceBusReceiveMode

    left = count
    with servicebus(settings) as client:
        receiver = _receiver(client, entity, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
        with receiver:
            while left is None or left > 0:
                batch = receiver.receive_messages(max_message_count=min(left or 500, 500), max_wait_time=wait_s)
                if not batch:
                    return
                yield from map(as_json, batch)
                left = None if left is None else left - len(batch)


def peek(settings: Settings, entity: str, *, count: int) -> Iterator[dict[str, Any]]:
    """Look at messages without taking them, oldest first."""
    with servicebus(settings) as client, _receiver(client, entity) as receiver:
        from_sequence = 0
        while count > 0:
            batch = receiver.peek_messages(max_message_count=min(count, 250), sequence_number=from_sequence)
            if not batch:
                return
            yield from map(as_json, batch)
            count -= len(batch)
            from_sequence = (batch[-1].sequence_number or 0) + 1


def as_json(message: ServiceBusReceivedMessage) -> dict[str, Any]:
    """A message as one JSON object: body, properties, ids."""
    properties = message.application_properties or {}
    return {
        "sequence_number": message.sequence_number,
        "message_id": message.message_id,
        "session_id": message.session_id,
        "subject": message.subject,
        "content_type": message.content_type,
        "enqueued_at": message.enqueued_time_utc.isoformat() if message.enqueued_time_utc else None,
        "delivery_count": message.delivery_count,
        "properties": {_text(key): _plain(value) for key, value in properties.items()},
        "body": _body(b"".join(message.body)),
    }


def age_ms(message: ServiceBusReceivedMessage) -> float:
    """Milliseconds since the message was accepted."""
    enqueued = message.enqueued_time_utc
    return (datetime.now(UTC) - enqueued).total_seconds() * 1000 if enqueued else 0.0


def _receiver(client: ServiceBusClient, entity: str, **options: Any) -> Any:
    topic, separator, subscription = entity.partition("/")
    if separator:
        return client.get_subscription_receiver(topic, subscription.removeprefix("Subscriptions/"), **options)
    return client.get_queue_receiver(entity, **options)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _plain(value: object) -> object:
    return value if isinstance(value, (int, float, bool, type(None))) else _text(value)


def _body(data: bytes) -> object:
    """JSON where it is JSON, else text, else hex."""
    try:
        return json.loads(data)
    except ValueError:
        return data.decode() if _is_text(data) else data.hex()


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
