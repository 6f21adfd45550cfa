"""What `env()` and `file()` have read is hidden, except where it names what a plan is about."""

from __future__ import annotations

from typing import Any

from dstream.host.provider.read_settings import read_settings
from dstream.redact import MASK, Redactor

SCHEMA: dict[str, Any] = {
    "properties": {
        "queue": {"type": "string", "x-identifier": True},
        "note": {"type": "string"},
        "size": {"type": "integer"},
        "subscriptions": {"items": {"properties": {"name": {"x-identifier": True}, "filter": {}}}},
    }
}
CONFIG = {
    "queue": "orders-production",
    "note": "by team-rocket",
    "size": 1024,
    "tags": {"stage": "production", "cost": "x"},
    "subscriptions": [{"name": "billing-all", "filter": "a = 1"}],
}


def redactor(*paths: tuple[str | int, ...], schema: Any = SCHEMA) -> Redactor:
    found = Redactor(configs=[CONFIG])
    texts = {"production", "team-rocket", "1024", "x", "billing-all", "a = 1"}
    found.learn_read(*read_settings(CONFIG, dict.fromkeys(paths, frozenset(texts)), schema))
    return found


def test_a_text_that_was_read_is_hidden_in_any_encoding() -> None:
    hiding = redactor(("note",))
    assert hiding.text("by team-rocket, or team%2Drocket") == f"by {MASK}, or {MASK}"


def test_a_short_text_is_hidden_only_where_its_setting_is_shown() -> None:
    hiding = redactor(("size",), ("tags", "cost"))
    assert hiding.text("1024 x") == "1024 x"
    assert (hiding.difference(1024, "sku.size"), hiding.difference(512, "size")) == (MASK, MASK)
    assert (hiding.difference("x", "tags.cost"), hiding.difference("x", "other")) == (MASK, "x")
    assert hiding.difference(None, "size") is None


def test_the_name_of_a_property_may_be_written_in_another_style() -> None:
    hiding = Redactor()
    hiding.learn_read([], ["max_size_in_megabytes"], [])
    assert hiding.difference(1024, "maxSizeInMegabytes") == MASK


def test_an_identifier_is_shown_everywhere() -> None:
    hiding = redactor(("queue",), ("tags", "stage"), ("subscriptions", 0, "name"))
    assert hiding.text("queue orders-production of billing-all") == "queue orders-production of billing-all"
    assert (hiding.difference("orders-production", "queue"), hiding.difference("billing-all", "name")) == (
        "orders-production",
        "billing-all",
    )
    assert hiding.difference("production", "tags.stage") == MASK


def test_an_identifier_inside_a_sensitive_list_is_shown() -> None:
    hiding = redactor(("subscriptions",))
    assert hiding.text("billing-all") == "billing-all"
    assert (hiding.difference("billing-all", "name"), hiding.difference("a = 1", "filter")) == ("billing-all", MASK)


def test_without_a_schema_nothing_is_an_identifier() -> None:
    assert redactor(("queue",), schema={}).text("orders-production") == f"orders-{MASK}"


def test_what_was_read_may_be_stored() -> None:
    assert not redactor(("note",)).is_in(b'{"by": "team-rocket"}')


def test_later_secrets_do_not_replace_what_was_read() -> None:
    hiding = redactor(("note",))
    hiding.learn(["s3cret"])
    assert hiding.text("team-rocket s3cret") == f"{MASK} {MASK}"
