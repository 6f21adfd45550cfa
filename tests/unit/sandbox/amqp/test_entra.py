"""Tokens of Entra ID and the rights that role assignments give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dstream_sandbox.azure.data_roles import data_roles
from dstream_sandbox.azure.records import Records, RoleAssignmentRecord
from dstream_sandbox.entra_tokens import SERVICE_BUS, SQL, issue
from dstream_sandbox.servicebus.access import AccessDenied, KeyRing
from dstream_sandbox.servicebus.entra import Identities, Role

NOW = 1_000_000.0
ME = "AAAAAAAA-0000-0000-0000-000000000000"
SEND = frozenset(("Send",))
NAMESPACE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ServiceBus/namespaces/Sandbox"


def keys(*roles: Role) -> KeyRing:
    return KeyRing([], identity=Identities("key", lambda: roles).check)


def test_a_token_grants_what_the_roles_of_its_identity_allow() -> None:
    ring = keys(Role(ME.lower(), SEND, "orders"), Role("somebody", frozenset(("Listen",)), ""))
    token = issue("key", SERVICE_BUS, ME, NOW + 60)

    grant = ring.check_token(token, "sb://localhost:1/Orders", NOW)
    assert grant.allows("orders", "Send", NOW)
    assert not grant.allows("orders", "Listen", NOW)
    assert not ring.check_token(token, "sb://localhost:1/other", NOW).allows("other", "Send", NOW)
    assert not grant.allows("orders", "Send", NOW + 61)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (issue("other", SERVICE_BUS, ME, NOW + 60), "InvalidSignature"),
        (issue("key", SQL, ME, NOW + 60), "InvalidAudience"),
        (issue("key", SERVICE_BUS, ME, NOW - 1), "ExpiredToken"),
        ("eyJ.e30.x", "InvalidSignature"),
    ],
)
def test_an_invalid_token_is_refused(token: str, why: str) -> None:
    with pytest.raises(AccessDenied, match=why):
        keys().check_token(token, "sb://localhost:1/orders", NOW)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    return Records(tmp_path)


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ("", ""),
        ("/queues/Orders", "orders"),
        ("/topics/events", "events"),
        ("/topics/events/subscriptions/audit", "events/subscriptions/audit"),
    ],
)
def test_the_scope_of_a_role_assignment_is_a_path(records: Records, scope: str, path: str) -> None:
    sender = {"principalId": ME, "roleDefinitionId": "/x/69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"}
    records.put_role_assignment(RoleAssignmentRecord("/one", NAMESPACE + scope, sender, NOW))
    records.put_role_assignment(RoleAssignmentRecord("/two", NAMESPACE.replace("Sandbox", "other"), sender, NOW))
    records.put_role_assignment(RoleAssignmentRecord("/three", NAMESPACE, {**sender, "roleDefinitionId": "/x"}, NOW))

    assert list(data_roles(records, "sandbox")()) == [Role(ME, SEND, path)]
