"""An output as in the SDK's documentation: one ServiceBusMessage per line, `add_message` until the batch is full.

Reads lines and the last checkpoint from stdin like a provider, sends `ready`, and acknowledges once, at the end.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from azure.servicebus import ServiceBusClient, ServiceBusMessage

BATCH_BYTES = 255 * 1024
"""The link's 256 KiB minus room for the batch's envelope, which the SDK does not count (its PR 42598)."""


def main() -> None:
    config = json.loads(sys.stdin.buffer.readline())["config"]
    with (
        ServiceBusClient.from_connection_string(config["connection_string"]) as client,
        client.get_queue_sender(config["queue"]) as sender,
    ):
        batch = sender.create_message_batch(BATCH_BYTES)
        _say({"status": "ready"})
        for line in _lines():
            metadata = json.loads(line)["metadata"]
            message = ServiceBusMessage(
                line, message_id=metadata["Id"], subject=metadata["TableName"], content_type="application/json"
            )
            try:
                batch.add_message(message)
            except ValueError:  # MessageSizeExceededError: the batch is full
                sender.send_messages(batch)
                batch = sender.create_message_batch(BATCH_BYTES)
                batch.add_message(message)
        sender.send_messages(batch)
        _say({"dstream": "ack", "seq": 1})
        sys.stdin.buffer.read()


def _lines() -> Iterator[bytes]:
    for line in sys.stdin.buffer:
        if line.startswith(b'{"dstream":'):
            return
        yield line[:-1]


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


main()
