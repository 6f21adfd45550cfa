"""Queues, topics and subscriptions as resources, managed through the administration endpoint.

For users with a Manage connection string but no access to Azure Resource Manager, and for the emulator.
Tokens, settings and ids are those of `dstream_stacks`.
"""

from __future__ import annotations

import datetime
import re
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.servicebus.management import ServiceBusAdministrationClient
from dstream_stacks.properties import FOREVER

from dstream.infra.attached import AttachedResources
from dstream.infra.attached.types import Actual, Property, Values
from dstream_servicebus.entities.conflicts import retry_conflicts
from dstream_servicebus.entities.errors import already_exists, raise_resource_failed
from dstream_servicebus.entities.ids import QUEUE_ID, SUBSCRIPTION_ID, TOPIC_ID, IdShape
from dstream_servicebus.entities.namespace import ConnectedNamespace
from dstream_servicebus.entities.rules import Rules
from dstream_servicebus.entities.settings import QUEUE, SUBSCRIPTION, TOPIC

PACKAGE = "dstream"
VERSION = "0.1.0"

_FOREVER_DAYS = 10_675_199
_LARGEST_UNPARTITIONED_MB = 5 * 1024
_PARTITIONS = 16
_COUNTS = {
    "activeMessageCount": "active_message_count",
    "deadLetterMessageCount": "dead_letter_message_count",
    "scheduledMessageCount": "scheduled_message_count",
    "transferDeadLetterMessageCount": "transfer_dead_letter_message_count",
    "transferMessageCount": "transfer_message_count",
}
_FIGURES = {
    "messageCount": "total_message_count",
    "sizeInBytes": "size_in_bytes",
    "subscriptionCount": "subscription_count",
}


def entities_resources(
    administration: Callable[[], ServiceBusAdministrationClient], filtered: Collection[tuple[str, ...]] = ()
) -> AttachedResources:
    """Return the resources that the engine attaches to as PACKAGE. `administration` creates the client on first use;
    the client must retry when throttled. `filtered`: topics and names of subscriptions that receive nothing before
    their rules exist; needs a client with a FirstRuleTransport.
    """
    client = _Shared(administration)
    namespace = ConnectedNamespace(client)
    return AttachedResources(
        {
            f"{PACKAGE}:servicebus:Queue": _Entities(client, namespace, _QUEUES),
            f"{PACKAGE}:servicebus:Topic": _Entities(client, namespace, _TOPICS),
            f"{PACKAGE}:servicebus:Subscription": _Entities(client, namespace, _SUBSCRIPTIONS, filtered),
            f"{PACKAGE}:servicebus:Rule": Rules(client),
        },
        VERSION,
    )


class _Shared:
    """Shares one client between all threads, which azure-core supports."""

    def __init__(self, make: Callable[[], ServiceBusAdministrationClient]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._client: ServiceBusAdministrationClient | None = None

    def __call__(self) -> ServiceBusAdministrationClient:
        with self._lock:
            self._client = self._client or self._make()
            return self._client


@dataclass(frozen=True, slots=True)
class _Kind:
    """What distinguishes queues, topics and subscriptions: their settings, ids, and the client's methods."""

    properties: Mapping[str, Property]
    ids: IdShape
    get: Callable[..., Any]
    """Called with the client and the names."""
    figures: Callable[..., Any]
    create: Callable[..., Any]
    update: Callable[..., None]
    """Called with the client, the changed properties, and the names."""
    delete: Callable[..., None]


_Client = ServiceBusAdministrationClient
_QUEUES = _Kind(
    QUEUE,
    QUEUE_ID,
    _Client.get_queue,
    _Client.get_queue_runtime_properties,
    _Client.create_queue,
    lambda client, found, name: client.update_queue(found),
    _Client.delete_queue,
)
_TOPICS = _Kind(
    TOPIC,
    TOPIC_ID,
    _Client.get_topic,
    _Client.get_topic_runtime_properties,
    _Client.create_topic,
    lambda client, found, name: client.update_topic(found),
    _Client.delete_topic,
)
_SUBSCRIPTIONS = _Kind(
    SUBSCRIPTION,
    SUBSCRIPTION_ID,
    _Client.get_subscription,
    _Client.get_subscription_runtime_properties,
    _Client.create_subscription,
    lambda client, found, topic, name: client.update_subscription(topic, found),
    _Client.delete_subscription,
)


class _Entities:
    """Implements ResourceType."""

    def __init__(
        self,
        administration: Callable[[], ServiceBusAdministrationClient],
        namespace: ConnectedNamespace,
        kind: _Kind,
        filtered: Collection[tuple[str, ...]] = (),
    ) -> None:
        self._administration = administration
        self._namespace = namespace
        self._kind = kind
        self._filtered = filtered
        self.properties = kind.properties

    def problems(self, inputs: Values) -> Mapping[str, str]:
        return {}

    def create(self, inputs: Values) -> tuple[str, Actual]:
        resource_id = self._kind.ids.id_of(inputs)
        keys = self._kind.ids.keys_of(resource_id)
        with raise_resource_failed(resource_id):
            create = partial(self._kind.create, self._administration(), *keys, **self._attributes(inputs))
            try:
                made = self._create_filtered(create) if keys in self._filtered else retry_conflicts(create)
            except ResourceExistsError as error:
                raise already_exists(resource_id) from error
        # The next read adds the figures. Reading them now could fail and leave the new entity unrecorded.
        return resource_id, Actual(self._settings(keys, made), self._identity(keys))

    def _create_filtered(self, create: Callable[..., Any]) -> Any:
        try:
            return retry_conflicts(partial(create, receives_nothing=True))
        except HttpResponseError as error:
            if error.status_code != 400:
                raise
        return retry_conflicts(create)  # an emulator may not accept the first rule

    def read(self, resource_id: str) -> Actual | None:
        keys = self._kind.ids.keys_of(resource_id)
        with raise_resource_failed(resource_id):
            found = self._get(keys)
            if found is None:
                return None
            try:
                figures = self._kind.figures(self._administration(), *keys)
            except ResourceNotFoundError:
                return None
        return Actual(self._settings(keys, found), {**self._identity(keys), **_figures(figures)})

    def update(self, resource_id: str, inputs: Values) -> Actual:
        keys = self._kind.ids.keys_of(resource_id)
        with raise_resource_failed(resource_id):
            found = self._kind.get(self._administration(), *keys)
            if getattr(found, "enable_partitioning", False):
                found.max_size_in_megabytes = _size_of_one_partition(found.max_size_in_megabytes)
            for attribute, value in self._attributes(inputs).items():
                setattr(found, attribute, value)
            retry_conflicts(partial(self._kind.update, self._administration(), found, *keys))
            changed = self._kind.get(self._administration(), *keys)
            figures = self._kind.figures(self._administration(), *keys)
        return Actual(self._settings(keys, changed), {**self._identity(keys), **_figures(figures)})

    def delete(self, resource_id: str) -> None:
        keys = self._kind.ids.keys_of(resource_id)
        with raise_resource_failed(resource_id):
            if self._get(keys) is None:
                return  # already deleted; an entity of another kind with this name is not ours
            try:
                retry_conflicts(partial(self._kind.delete, self._administration(), *keys))
            except ResourceNotFoundError:
                pass  # deleted in the meantime

    def _identity(self, keys: tuple[str, ...]) -> Values:
        namespace = self._namespace.name
        return {"name": keys[-1], **({"namespace": namespace} if namespace else {})}

    def _get(self, keys: tuple[str, ...]) -> Any | None:
        try:
            return self._kind.get(self._administration(), *keys)
        except ResourceNotFoundError:
            return None
        except AttributeError:  # azure-servicebus 7.15: a topic has the requested queue's name, or vice versa
            return None

    def _attributes(self, inputs: Values) -> dict[str, Any]:
        """The SDK's keyword arguments, which are also its objects' attributes."""
        return {_snake(name): None if value == "" else value for name, value in self._own(inputs).items()}

    def _own(self, inputs: Values) -> Values:
        return {name: value for name, value in inputs.items() if name not in self._kind.ids.names}

    def _settings(self, keys: tuple[str, ...], found: Any) -> Values:
        names = dict(zip(self._kind.ids.names, keys, strict=True))
        settings = {name: _plain(getattr(found, _snake(name))) for name in self._own(self.properties)}
        for forward in ("forwardTo", "forwardDeadLetteredMessagesTo"):
            if settings.get(forward):
                settings[forward] = _entity_path(settings[forward])
        if settings.get("enablePartitioning"):
            settings["maxSizeInMegabytes"] = _size_of_one_partition(settings["maxSizeInMegabytes"])
        return {**names, **settings}


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.timedelta):
        return _iso_duration(value)
    if isinstance(value, str):
        return str(getattr(value, "value", value)) or None  # a status is an enum
    return value


def _iso_duration(span: datetime.timedelta) -> str:
    if span.days >= _FOREVER_DAYS:
        return FOREVER
    minutes, seconds = divmod(span.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{span.microseconds:06d}".rstrip("0") if span.microseconds else ""
    time = "".join(f"{amount}{unit}" for amount, unit in ((hours, "H"), (minutes, "M")) if amount)
    time += f"{seconds}{fraction}S" if seconds or fraction or not (time or span.days) else ""
    return "P" + (f"{span.days}D" if span.days else "") + (f"T{time}" if time else "")


def _entity_path(address: str) -> str:
    """The name of a forwarding destination, which the service returns as a full address."""
    return unquote(urlsplit(address).path).strip("/") if "://" in address else address


def _size_of_one_partition(size_mb: int | None) -> int | None:
    """The size of one partition, from the reported size of all 16 (Microsoft: "Partitioned queues and topics")."""
    if size_mb is None or size_mb <= _LARGEST_UNPARTITIONED_MB:
        return size_mb
    return size_mb // _PARTITIONS


def _figures(runtime: Any) -> Values:
    """The figures that the service reports for this kind of entity."""
    figures: dict[str, Any] = {name: getattr(runtime, each, None) for name, each in _FIGURES.items()}
    figures["countDetails"] = {name: getattr(runtime, each, None) for name, each in _COUNTS.items()}
    figures["countDetails"] = {name: value for name, value in figures["countDetails"].items() if value is not None}
    return {name: value for name, value in figures.items() if value is not None}
