"""The provider under test, served as `dstream:servicebus:*`, and its resources."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from azure.servicebus.management import ServiceBusAdministrationClient
from dstream_servicebus.entities.resources import entities_resources

from dstream.infra.engine.attachments import served
from tests.integration.engine import Resource


def entity(type_: str, name: str, settings: Mapping[str, Any]) -> Resource:
    return Resource(f"dstream:servicebus:{type_}", name, settings)


@contextlib.contextmanager
def serving(administration: Callable[[], ServiceBusAdministrationClient]) -> Iterator[int]:
    """Serve the provider on its own port."""
    with served({"dstream": entities_resources(administration)}, parallel=None) as ports:
        yield ports["dstream"]
