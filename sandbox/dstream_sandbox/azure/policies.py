"""Authorization rules (shared access policies) of namespaces, queues and topics, and their keys."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from dstream_sandbox.azure.cloud import Cloud, Found
from dstream_sandbox.azure.entities import entities_at, service_errors
from dstream_sandbox.azure.errors import AzureError, already_exists, bad_request, parent_not_found
from dstream_sandbox.azure.ids import Place
from dstream_sandbox.azure.records import new_policy
from dstream_sandbox.servicebus.broker.descriptions import AuthorizationRule
from dstream_sandbox.servicebus.broker.namespace import QueueNode, TopicNode

__all__ = ["Policies"]

_MOST = 12  # Microsoft, "Service Bus quotas": shared access authorization rules per namespace, queue, or topic


class Policies:
    """Handles all three types, which differ only in where their rules are stored."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def read(self, place: Place) -> Found | None:
        policy = self._find(place)
        if policy is None:
            return None
        location = self._cloud.namespace(place).settings.get("location")
        return Found({"rights": list(policy.rights)}, {"location": location})

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        self._require_parent(place)
        if self._find(place):
            raise already_exists(place.id)
        policies = self._policies(place)
        if len(policies) >= _MOST:
            raise bad_request(f"The maximum number of authorization rules ({_MOST}) has been reached.")
        await self._keep(place, (*policies, new_policy(place.name, _rights(inputs), time.time())))

    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        """Change the rights, and keep the keys."""
        self._require_parent(place)
        old = self._find(place)
        if old is None:
            await self.create(place, inputs)
            return
        new = replace(old, rights=_rights(inputs), modified_at=time.time())
        await self._keep(place, tuple(new if each is old else each for each in self._policies(place)))

    async def delete(self, place: Place) -> None:
        old = self._find(place)
        if old is not None:
            await self._keep(place, tuple(each for each in self._policies(place) if each is not old))

    def keys(self, place: Place) -> dict[str, object]:
        """Return the result of list-keys. Raises AzureError."""
        self._require_parent(place)
        policy = self._find(place)
        if policy is None:
            raise AzureError(404, "NotFound", f"Entity '{place.name}' was not found.")
        found: dict[str, object] = {
            "keyName": policy.key_name,
            "primaryKey": policy.primary_key,
            "secondaryKey": policy.secondary_key,
        }
        for which in ("primary", "secondary"):
            found[f"{which}ConnectionString"] = self._connection_string(place, policy, str(found[f"{which}Key"]))
        return found

    def _connection_string(self, place: Place, policy: AuthorizationRule, key: str) -> str:
        """UseDevelopmentEmulator makes Microsoft's SDKs keep the port and use AMQP without TLS."""
        entity = place.names.get("queueName") or place.names.get("topicName")
        return (
            f"Endpoint=sb://localhost:{self._cloud.running(place).amqp_port};SharedAccessKeyName={policy.key_name};"
            f"SharedAccessKey={key};UseDevelopmentEmulator=true;" + (f"EntityPath={entity};" if entity else "")
        )

    def _find(self, place: Place) -> AuthorizationRule | None:
        return next((each for each in self._policies(place) if each.key_name.lower() == place.name.lower()), None)

    def _policies(self, place: Place) -> tuple[AuthorizationRule, ...]:
        record = self._cloud.find_namespace(place)
        if record is None:
            return ()
        if not _of_entity(place):
            return record.policies
        node = self._node(place)
        return node.description.authorization_rules if node else ()

    def _node(self, place: Place) -> QueueNode | TopicNode | None:
        entities = entities_at(self._cloud, place)
        if entities is None:
            return None
        if queue := place.names.get("queueName"):
            return entities.namespace.queues.get(queue.lower())
        return entities.namespace.topics.get(place.names["topicName"].lower())

    def _require_parent(self, place: Place) -> None:
        self._cloud.namespace(place)
        if _of_entity(place) and self._node(place) is None:
            raise parent_not_found(place.type.arm_type, place.parent_id)

    async def _keep(self, place: Place, policies: tuple[AuthorizationRule, ...]) -> None:
        node = self._node(place) if _of_entity(place) else None
        if node is None:
            self._cloud.records.change_policies(self._cloud.namespace(place), policies)
            return
        with service_errors(place):
            entities = self._cloud.running(place).broker.entities
            if isinstance(node, QueueNode):
                await entities.update_queue(node.name, replace(node.description, authorization_rules=policies))
            else:
                await entities.update_topic(node.name, replace(node.description, authorization_rules=policies))


def _of_entity(place: Place) -> bool:
    return "queueName" in place.names or "topicName" in place.names


def _rights(inputs: Mapping[str, object]) -> tuple[str, ...]:
    rights = tuple(sorted({str(each) for each in cast("list[object]", inputs["rights"])}))
    if "Manage" in rights and len(rights) < 3:
        raise bad_request("Manage permission should also include Send and Listen.")
    return rights
