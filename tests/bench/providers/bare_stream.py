"""A minimal stream from a change table to a queue: one SELECT, msgspec, the SDK's add_message. Stores no position."""

from __future__ import annotations

import json
import os
import time

import msgspec
import pyodbc
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from dstream_sandbox.clients import odbc_driver

BATCH_BYTES = 255 * 1024


def main() -> None:
    connection = pyodbc.connect(f"DRIVER={odbc_driver()};{os.environ['MSSQL_CONNECTION_STRING']}")
    encode = msgspec.json.Encoder().encode
    rows = 0
    with (
        ServiceBusClient.from_connection_string(os.environ["ASB_CONNECTION_STRING"]) as client,
        client.get_queue_sender("Wide") as sender,
    ):
        batch = sender.create_message_batch(BATCH_BYTES)
        started = time.perf_counter()
        cursor = connection.execute(
            "SELECT * FROM cdc.[dbo_Wide_CT] ORDER BY [__$start_lsn], [__$command_id], [__$seqval]"
        )
        names = [column[0] for column in cursor.description]
        places = [place for place, name in enumerate(names) if not name.startswith("__$")]
        while fetched := cursor.fetchmany(1000):
            for row in fetched:
                rows += 1
                data = {names[place]: row[place] for place in places}
                message = ServiceBusMessage(
                    encode({"data": data, "metadata": {"TableName": "dbo.Wide", "LSN": row[0].hex()}}),
                    message_id=f"{row[0].hex()}/{row[2].hex()}/{row[3]}",
                    content_type="application/json",
                    subject="dbo.Wide",
                    application_properties={"OperationType": "Insert"},
                )
                try:
                    batch.add_message(message)
                except ValueError:
                    sender.send_messages(batch)
                    batch = sender.create_message_batch(BATCH_BYTES)
                    batch.add_message(message)
        sender.send_messages(batch)
        wall_s = time.perf_counter() - started
    os.write(1, json.dumps({"rows": rows, "wall_s": wall_s}).encode())


main()
