"""Builds specs from settings, for the tests of provisioning."""

from __future__ import annotations

from typing import Any

from dstream_servicebus.config import Config
from dstream_servicebus.specs.provision import spec_of
from dstream_stacks.spec import ServiceBusSpec

from dstream.sdk import decode_config

KEY = "Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=hidden="
PRINCIPAL = "11111111-2222-3333-4444-55555555555a"
PLACE = {"resource_group": "rg", "namespace": "sb-orders"}
NEW = {"create_namespace": True, "location": "westeurope"}


def spec(**settings: Any) -> ServiceBusSpec:
    return spec_of(decode_config({**PLACE, "queue": "orders", **settings}, Config))


def topics(**settings: Any) -> ServiceBusSpec:
    return spec(queue=None, topic="events", **settings)


def entities(**settings: Any) -> ServiceBusSpec:
    return spec(resource_group=None, mode="entities", connection_string=KEY, **settings)
