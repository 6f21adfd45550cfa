"""The limits of a message's properties.

Microsoft, "Service Bus quotas": at most 32 KB per property and 64 KB for all of them, system properties included. For a
larger property the service answers with a text that asks for a retry (azure-sdk-for-net issue 15325), so a message that
exceeds the limit would be retried forever.
"""

from __future__ import annotations

from dstream.sdk.errors import DataError
from dstream_servicebus.publish.encoder import Encoder
from dstream_servicebus.publish.message import MAX_ID_LENGTH

MAX_PROPERTY_BYTES = 32 * 1024
MAX_HEADER_BYTES = 64 * 1024


def has_room_for_trace(encoder: Encoder) -> bool:
    """Whether the encoder's messages can carry a trace context."""
    return encoder.size(MAX_ID_LENGTH, 0, is_traced=True) <= MAX_HEADER_BYTES


def check_header(encoder: Encoder) -> None:
    """Raise DataError if the service would refuse the properties of the encoder's messages."""
    for name, value in encoder.head.properties:
        size = len(value.encode())
        if size > MAX_PROPERTY_BYTES:
            raise DataError(
                "servicebus.property_too_large",
                f"the property {name} of an event has {size:,} bytes; Service Bus accepts {MAX_PROPERTY_BYTES:,}",
                hint="Remove the property, or use a shorter field.",
                config_path=f"properties.{name}",
            )
    size = encoder.size(MAX_ID_LENGTH, 0)
    if size > MAX_HEADER_BYTES:
        raise DataError(
            "servicebus.property_too_large",
            f"the properties of an event have {size:,} bytes; Service Bus accepts at most {MAX_HEADER_BYTES:,} in all",
            hint="Remove properties, or use shorter fields.",
            config_path="properties",
        )
