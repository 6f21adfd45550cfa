"""The entities that a task's infrastructure declares, which no other task can declare. Connects to nothing."""

from __future__ import annotations

from urllib.parse import urlsplit

from dstream.sdk import Claim
from dstream_servicebus.access import endpoint_of
from dstream_servicebus.config import Config, either, routing
from dstream_servicebus.specs.declared_by import config_path_of
from dstream_servicebus.specs.provision import spec_of


def claims_of(config: Config) -> list[Claim]:
    """Return the queues and topics by namespace and name; none if the task only publishes, or if the namespace is
    unknown. Raises ConfigError for settings that `plan` would refuse.
    """
    routing(config)
    if not _provisions(config):
        return []
    spec = spec_of(config)
    namespace = spec.namespace.name if spec.namespace else _namespace_of(config)
    if not namespace:
        return []
    return [
        Claim(
            f"{namespace}/{each.name}".lower(),
            f"{kind} {each.name} in {namespace}",
            config_path_of(config, f":{kind.title()}", each.name),
        )
        for kind, entities in (("queue", spec.queues), ("topic", spec.topics))
        for each in entities
    ]


def _provisions(config: Config) -> bool:
    return config.mode == "entities" or (config.resource_group or config.original_resource_group) is not None


def _namespace_of(config: Config) -> str:
    """The host of the connection string, as a namespace's name if it is one in Azure."""
    given = either(config.connection_string, config.original_connection_string, "connection_string", "connectionString")
    host = urlsplit(endpoint_of(given.reveal())).netloc if given else ""
    return host.removesuffix(".servicebus.windows.net")
