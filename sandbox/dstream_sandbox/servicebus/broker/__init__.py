"""The broker: entities, messages and their durable store. Independent of frames and sockets."""

from dstream_sandbox.servicebus.broker.broker import LocalBroker, open_broker
from dstream_sandbox.servicebus.broker.errors import EntityError, EntityExists, EntityInvalid, EntityMissing
from dstream_sandbox.servicebus.broker.store import StoreUnavailable

__all__ = [
    "EntityError",
    "EntityExists",
    "EntityInvalid",
    "EntityMissing",
    "LocalBroker",
    "StoreUnavailable",
    "open_broker",
]
