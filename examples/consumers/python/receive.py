"""Copies the changes in a session queue to a SQLite database: in order per session, each change once.

Set ASB_CONNECTION_STRING (with the Listen claim), QUEUE, and DATABASE (a file).
"""

import json
import os
import sqlite3
import time
from typing import Any

from azure.servicebus import NEXT_AVAILABLE_SESSION, AutoLockRenewer, ServiceBusClient, ServiceBusReceivedMessage
from azure.servicebus.exceptions import OperationTimeoutError

# Another session gets its turn after this long without a message, or after this long in any case.
IDLE_S = 1
TURN_S = 60  # plus the time of one message: less than the 5 minutes for which AutoLockRenewer renews the lock

TABLES = """
CREATE TABLE IF NOT EXISTS applied (id TEXT PRIMARY KEY, session TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE IF NOT EXISTS rows (table_name TEXT, key TEXT, data TEXT, PRIMARY KEY (table_name, key));
"""


def main() -> None:
    database = sqlite3.connect(os.environ["DATABASE"])
    database.executescript(TABLES)
    with (
        ServiceBusClient.from_connection_string(os.environ["ASB_CONNECTION_STRING"]) as client,
        AutoLockRenewer() as renewer,
    ):
        while True:
            try:
                receive_session(client, renewer, database)
            except OperationTimeoutError:
                continue  # no session has messages


def receive_session(client: ServiceBusClient, renewer: AutoLockRenewer, database: sqlite3.Connection) -> None:
    """Apply the messages of the next session, one at a time. An error ends the program, and nothing is lost."""
    with client.get_queue_receiver(
        os.environ["QUEUE"], session_id=NEXT_AVAILABLE_SESSION, max_wait_time=IDLE_S
    ) as receiver:
        renewer.register(receiver, receiver.session)
        end = time.monotonic() + TURN_S
        for message in receiver:
            try:
                event = json.loads(str(message))
                data, metadata = event["data"], event["metadata"]
            except (ValueError, KeyError, TypeError) as error:
                receiver.dead_letter_message(message, reason="NotAChange", error_description=str(error))
            else:
                apply_once(database, message, data, metadata)
                receiver.complete_message(message)  # only now: the change is durable
            if time.monotonic() > end:
                return


def apply_once(
    database: sqlite3.Connection, message: ServiceBusReceivedMessage, data: dict[str, Any], metadata: dict[str, Any]
) -> None:
    """Store the message id and the change in one transaction. A repeated message changes nothing."""
    with database:
        added = database.execute(
            "INSERT OR IGNORE INTO applied (id, session) VALUES (?, ?)", (message.message_id, message.session_id)
        )
        if added.rowcount:
            apply(database, data, metadata)


def apply(database: sqlite3.Connection, data: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Replace this function with your own code. The table needs a key."""
    row = metadata["TableName"], json.dumps([data.get(column) for column in metadata["Key"]])
    if metadata["OperationType"] == "Delete":
        database.execute("DELETE FROM rows WHERE table_name = ? AND key = ?", row)
    elif metadata["OperationType"] in ("Insert", "Update", "Read"):
        for (stored,) in database.execute("SELECT data FROM rows WHERE table_name = ? AND key = ?", row).fetchall():
            kept = {column: value for column, value in json.loads(stored).items() if column in metadata["Unchanged"]}
            data = kept | data
        database.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", (*row, json.dumps(data)))


if __name__ == "__main__":
    main()
