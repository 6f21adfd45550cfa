from __future__ import annotations

import pytest
from azure.servicebus._pyamqp.utils import generate_sas_token
from dstream_sandbox.servicebus.access import AccessDenied, KeyRing, SharedKey, path_of

_NOW = 1_000_000.0
_AUDIENCE = "sb://localhost:5672/Orders"
_KEYS = KeyRing(
    [
        SharedKey("Root", ("first", "second")),
        SharedKey("Reader", ("r",), frozenset(("Listen",)), path="orders"),
    ]
)


def _token(audience: str = _AUDIENCE, name: str = "Root", key: str = "first", expires: int = 1_000_010) -> str:
    return str(generate_sas_token(audience, name, key, expires))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("key", ["first", "second"])
def test_an_sdk_token_grants_its_entity_and_its_children(key: str) -> None:
    grant = _KEYS.check_token(_token(key=key), _AUDIENCE, _NOW)
    assert grant.allows("orders", "Send", _NOW)
    assert grant.allows("orders/$management", "Listen", _NOW)
    assert not grant.allows("orders2", "Send", _NOW)


def test_an_expired_token_grants_nothing() -> None:
    grant = _KEYS.check_token(_token(), _AUDIENCE, _NOW)
    assert grant.allows("orders", "Send", 1_000_009)
    assert not grant.allows("orders", "Send", 1_000_010)


def test_a_namespace_token_is_valid_for_an_entity() -> None:
    grant = _KEYS.check_token(_token("sb://localhost:5672/"), _AUDIENCE, _NOW)
    assert grant.path == "orders"


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (_token(key="wrong"), "InvalidSignature"),
        (_token(name="Nobody"), "InvalidSignature"),
        (_token(expires=999_999), "ExpiredToken"),
        (_token("sb://localhost:5672/other"), "InvalidAudience"),
        (_token("sb://localhost:5672/order"), "InvalidAudience"),
        ("SharedAccessSignature sr=a&sig=b", "MalformedToken"),
        ("eyJhbGciOiJub25lIn0.e30.", "InvalidToken"),
        ("", "InvalidToken"),
        ("SharedAccessSignature sr=sb%3A%2F%2Flocalhost%2FOrders&sig=\u00e4&se=1000010&skn=Root", "InvalidSignature"),
        ("SharedAccessSignature sr=http%3A%2F%2F%5B&sig=x&se=1000010&skn=Root", "InvalidSignature"),
    ],
)
def test_an_invalid_token_is_denied(token: str, why: str) -> None:
    with pytest.raises(AccessDenied, match=why):
        _KEYS.check_token(token, _AUDIENCE, _NOW)


def test_a_policy_grants_only_its_rights() -> None:
    grant = _KEYS.check_token(_token(name="Reader", key="r"), _AUDIENCE, _NOW)
    assert grant.allows("orders", "Listen", _NOW)
    assert not grant.allows("orders", "Send", _NOW)


def test_a_policy_of_one_entity_cannot_sign_for_another() -> None:
    with pytest.raises(AccessDenied, match="InvalidSignature"):
        _KEYS.check_token(_token("sb://h/bills", name="Reader", key="r"), "sb://h/bills", _NOW)


def test_a_password_is_a_policy_name_with_one_of_its_keys() -> None:
    grant = _KEYS.check_password("Root", "second")
    assert grant is not None
    assert grant.allows("anything", "Send", _NOW)
    assert _KEYS.check_password("Root", "third") is None
    assert _KEYS.check_password("Nobody", "first") is None


@pytest.mark.parametrize(
    "address", ["sb://h:5672/Topic/Subscriptions/A%20b/", "topic/subscriptions/a b", "/Topic/Subscriptions/A b"]
)
def test_an_entity_has_one_path_however_it_is_addressed(address: str) -> None:
    assert path_of(address) == "topic/subscriptions/a b"
