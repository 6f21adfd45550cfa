"""What the infrastructure tests provision: one HCL for each mode and shape, and helpers that check what exists.

Each case uses its own names, so that all can share one sandbox.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError
from azure.servicebus.management import ServiceBusAdministrationClient
from dstream_sandbox import clients

from tests.running import DStream, Sandbox

MAX_DELIVERY_COUNT = 10

ARM = """\
      resource_group = env("ASB_RESOURCE_GROUP")
      namespace      = env("ASB_NAMESPACE")
"""
ENTITIES = """\
      mode                    = "entities"
      connection_string       = env("ASB_CONNECTION_STRING")
      admin_connection_string = env("ASB_ADMIN_CONNECTION_STRING")
"""
_NEW_NAMESPACE = """\
      resource_group        = "rg-{name}"
      create_resource_group = true
      namespace             = "sb-{name}"
      create_namespace      = true
      location              = "westeurope"
      sku                   = "Standard"
      tags                  = {{ team = "data" }}
"""
_QUEUE = """\
      queue = "{name}"
      entity {{
        max_delivery_count = {count}
      }}
"""
_TOPIC = """\
      topic = "{name}"
      subscriptions = [
        {{ name = "everything", max_delivery_count = {count} }},
        {{ name = "eu", filter = "region = 'eu'" }},
        {{ name = "orders", rules = [{{ name = "by-subject", correlation = {{ subject = "Orders" }} }}] }},
      ]
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A task `orders` from the counter to Service Bus."""

    mode: str
    shape: str
    name: str

    def hcl(self, *, count: int = MAX_DELIVERY_COUNT, more: str = "") -> str:
        place = {"arm": ARM, "entities": ENTITIES, "namespace": _NEW_NAMESPACE}[self.mode]
        shape = {"queue": _QUEUE, "topic": _TOPIC}[self.shape]
        config = place.format(name=self.name) + shape.format(name=self.name, count=count) + more
        return task(config)

    @property
    def drifting(self) -> str:
        """The resource whose maximum delivery count the tests change."""
        return self.name if self.shape == "queue" else f"{self.name}/everything"


def task(config: str, *, count: int = 5) -> str:
    """HCL with the task `orders`: `count` events from the counter into the output that `config` describes."""
    return f"""\
task "orders" {{
  input {{
    provider = "counter"
    config {{
      count    = {count}
      interval = "1ms"
    }}
  }}
  output {{
    provider = "servicebus"
    config {{
{config}    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A project folder, and the namespace that its task provisions, as an administrator sees it."""

    dstream: DStream
    sandbox: Sandbox

    def write(self, hcl: str) -> None:
        (self.dstream.cwd / "dstream.hcl").write_text(hcl)

    def succeed(self, *arguments: str, code: int = 0) -> str:
        """Run a command that must exit with this code; return its stdout."""
        done = self.dstream(*arguments)
        assert done.returncode == code, f"{arguments} exited with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def summary(self, *arguments: str, code: int = 0) -> dict[str, int]:
        """Run a command; return its number of resources per operation."""
        document = json.loads(self.succeed(*arguments, "--json", code=code))
        summary: dict[str, int] = document["tasks"][0]["summary"]
        return summary

    @contextlib.contextmanager
    def administration(self) -> Iterator[ServiceBusAdministrationClient]:
        with clients.administration(self.sandbox.folder, self.sandbox.settings) as administration:
            yield administration

    def namespace(self, name: str) -> tuple[str, str]:
        """The connection strings of a namespace that was created in the sandbox: AMQP, and administration."""
        (record,) = (
            each
            for file in self.sandbox.folder.path.rglob("azure.json")
            for each in json.loads(file.read_text())["namespaces"]
            if each["name"] == name
        )
        key = record["policies"][0]
        access = (
            f"SharedAccessKeyName={key['key_name']};SharedAccessKey={key['primary_key']};UseDevelopmentEmulator=true;"
        )
        amqp, administration = (
            f"Endpoint=sb://localhost:{record[port]};{access}" for port in ("amqp_port", "admin_port")
        )
        return amqp, administration

    @property
    def records(self) -> list[Path]:
        """The files that record the project's stacks."""
        return sorted((self.dstream.cwd / ".dstream").rglob("stacks/**/*.json"))


def set_max_delivery_count(administration: ServiceBusAdministrationClient, case: Case, count: int) -> None:
    if case.shape == "queue":
        queue = administration.get_queue(case.name)
        queue.max_delivery_count = count
        administration.update_queue(queue)
    else:
        subscription = administration.get_subscription(case.name, "everything")
        subscription.max_delivery_count = count
        administration.update_subscription(case.name, subscription)


def max_delivery_count(administration: ServiceBusAdministrationClient, case: Case) -> int | None:
    """The entity's maximum delivery count, or None if it does not exist."""
    try:
        if case.shape == "queue":
            return administration.get_queue(case.name).max_delivery_count
        return administration.get_subscription(case.name, "everything").max_delivery_count
    except ResourceNotFoundError:
        return None


def delete(administration: ServiceBusAdministrationClient, case: Case) -> None:
    """Delete the entity outside DStream."""
    if case.shape == "queue":
        administration.delete_queue(case.name)
    else:
        administration.delete_subscription(case.name, "everything")


Make = Callable[[str], Provisioned]


def creations(sandbox: Sandbox, case: Case) -> dict[str, int]:
    """How often each resource of the case was created, keyed by the end of its id."""
    created: dict[str, int] = sandbox.control("counters")["azure_creates"]
    return {key.partition("/namespaces/")[2]: count for key, count in created.items() if f"/{case.name}" in key}


def faults_left(sandbox: Sandbox) -> int:
    """The number of faults that have not yet occurred as often as requested."""
    return len(sandbox.control("faults")["faults"])


def clear_faults(sandbox: Sandbox) -> None:
    sandbox.control("faults", method="DELETE")
