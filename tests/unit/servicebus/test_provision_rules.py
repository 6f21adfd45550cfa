"""Subscriptions, their rules, and the keys of authorization rules."""

from __future__ import annotations

from typing import Any

import pytest
from dstream_servicebus.access import Entra, access
from dstream_servicebus.config import Config
from dstream_servicebus.specs.provision import spec_of
from dstream_stacks.spec import AuthorizationRule, CorrelationFilter, Rule

from dstream.errors import ConfigError
from dstream.sdk import decode_config
from tests.unit.servicebus.specs import KEY, PLACE, spec, topics


def test_subscriptions_are_created_on_every_or_on_named_topics() -> None:
    built = spec(
        queue=None,
        topic="{table}",
        tables=["a", "b"],
        session="table",
        subscriptions=[
            {"name": "all"},
            {
                "name": "some",
                "topics": ["b"],
                "sessions": False,
                "filter": "x = 1",
                "action": "SET y = 2",
                "rules": [{"name": "eu", "correlation": {"subject": "s", "properties": {"k": "v"}}}],
            },
        ],
    )

    assert [[subscription.name for subscription in topic.subscriptions] for topic in built.topics] == [
        ["all"],
        ["all", "some"],
    ]
    some = built.topics[1].subscriptions[1]
    assert (built.topics[1].subscriptions[0].sessions, some.sessions) == (True, False)
    assert some.rules == (
        Rule(sql="x = 1", action="SET y = 2"),
        Rule(name="eu", correlation=CorrelationFilter(subject="s", properties={"k": "v"})),
    )


def test_an_action_without_a_filter_applies_to_every_message() -> None:
    built = topics(subscriptions=[{"name": "s", "action": "SET y = 2"}])

    assert built.topics[0].subscriptions[0].rules == (Rule(sql="1=1", action="SET y = 2"),)


@pytest.mark.parametrize(
    ("written", "sent"), [("x = 1\n", "x = 1"), (" 1 = 1\n", "1=1"), ("1 =0", "1=0"), ("1 = 1 OR x", "1 = 1 OR x")]
)
def test_a_filter_is_sent_as_the_service_returns_it(written: str, sent: str) -> None:
    rules = [{"name": "r", "filter": written, "action": f"\n{written}"}]
    subscription = topics(subscriptions=[{"name": "s", "filter": written, "rules": rules}]).topics[0].subscriptions[0]

    assert [rule.sql for rule in subscription.rules] == [sent, sent]
    assert subscription.rules[1].action == sent


def test_authorization_rules_apply_to_one_entity_or_the_namespace() -> None:
    built = spec(
        authorization_rules=[
            {"name": "reader", "rights": ["Listen"], "entity": "orders"},
            {"name": "admin", "rights": ["Send", "Manage", "Listen"]},
        ]
    )

    assert built.authorization_rules == (
        AuthorizationRule(name="reader", rights=("Listen",), queue="orders"),
        AuthorizationRule(name="admin", rights=("Listen", "Manage", "Send")),
    )


def test_the_connection_string_of_the_stack_is_used_on_request() -> None:
    config = decode_config({**PLACE, "queue": "orders", "connection": "stack"}, Config)

    assert access(config, {"connection_string": "Endpoint=sb://stack/"}).entry == "Endpoint=sb://stack/"
    with pytest.raises(ConfigError) as caught:
        access(config)
    assert (caught.value.code, caught.value.config_path) == ("servicebus.no_stack_connection", "connection")


def test_the_stack_connection_can_only_send() -> None:
    own = AuthorizationRule(name="dstream-send", rights=("Send",), queue="orders")
    built = spec(connection="stack")
    assert (built.publisher, built.authorization_rules) == (own, (own,))
    assert topics(connection="stack").publisher == AuthorizationRule(
        name="dstream-send", rights=("Send",), topic="events"
    )
    assert spec().publisher is None

    rules = [{"name": "both", "rights": ["Send", "Listen"]}, {"name": "mine", "rights": ["Send"], "entity": "orders"}]
    built = spec(connection="stack", authorization_rules=rules)
    assert built.publisher == AuthorizationRule(name="mine", rights=("Send",), queue="orders")
    assert len(built.authorization_rules) == 2


def test_several_entities_need_one_rule_that_can_send_to_all() -> None:
    several = {"queue": "{table}", "entities": {"a": {}, "b": {}}, "connection": "stack"}
    with pytest.raises(ConfigError) as caught:
        spec(**several)
    assert (caught.value.code, caught.value.config_path) == ("servicebus.no_publisher", "connection")
    of_one = [{"name": "one", "rights": ["Send"], "entity": "a"}]
    of_all = [{"name": "all", "rights": ["Send"]}]
    with pytest.raises(ConfigError):
        spec(**several, authorization_rules=of_one)
    built = spec(**several, authorization_rules=of_one + of_all)
    assert built.publisher == AuthorizationRule(name="all", rights=("Send",))


@pytest.mark.parametrize("settings", [{"credential": "managed_identity"}, {"disable_local_auth": True}])
def test_the_stack_is_used_without_its_key_by_an_identity(settings: dict[str, Any]) -> None:
    config = decode_config({**PLACE, "queue": "orders", "connection": "stack", **settings}, Config)
    outputs = {"endpoint": "https://sb-orders.servicebus.chinacloudapi.cn:443/", "connection_string": KEY}

    assert (spec_of(config).publisher, spec_of(config).authorization_rules) == (None, ())
    entry = access(config, outputs).entry
    assert isinstance(entry, Entra)
    assert entry.namespace == "sb-orders.servicebus.chinacloudapi.cn"
    with pytest.raises(ConfigError, match="no endpoint yet"):
        access(config, {})


@pytest.mark.parametrize(
    ("subscription", "code", "path"),
    [
        ({"name": "s" * 51}, "servicebus.bad_name", "subscriptions[0].name"),
        ({"name": "s", "topics": ["other"]}, "servicebus.unknown_entity", "subscriptions[0].topics"),
        ({"name": "s", "lock_duration": "6m"}, "servicebus.out_of_range", "subscriptions[0].lock_duration"),
        ({"name": "s", "sessions": True}, "servicebus.no_sessions_sent", "subscriptions[0].sessions"),
        ({"name": "s", "filter": "1=1", "correlation": {"subject": "x"}}, "servicebus.bad_rule", "subscriptions[0].correlation"),
        ({"name": "s", "rules": [{"name": "r"}]}, "servicebus.bad_rule", "subscriptions[0].rules[0]"),
        ({"name": "s", "rules": [{"name": "r r", "filter": "1=1"}]}, "servicebus.bad_name", "subscriptions[0].rules[0].name"),
        ({"name": "s", "filter": "1=1", "rules": [{"name": "$Default", "filter": "1=1"}]}, "servicebus.duplicate_name", "subscriptions[0].rules"),
    ],
)  # fmt: skip
def test_an_invalid_subscription_setting_is_named(subscription: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        topics(subscriptions=[subscription])

    assert (caught.value.code, caught.value.config_path) == (code, path)


def test_a_duplicate_subscription_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        topics(subscriptions=[{"name": "s"}, {"name": "S"}])

    assert caught.value.code == "servicebus.duplicate_name"
