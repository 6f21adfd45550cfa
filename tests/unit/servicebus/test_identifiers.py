"""Settings that name what a plan is about are shown although `env()` has read them."""

from __future__ import annotations

from dstream_servicebus.config import Config

from dstream.host.provider.read_settings import read_settings
from dstream.redact import MASK, Redactor
from dstream.sdk import config_schema

CONFIG = {
    "namespace": "sb-production",
    "queue": "orders-production",
    "subscriptions": [{"name": "billing-production", "filter": "Region = 'production'"}],
    "entity": {"user_metadata": "team-production"},
}


def test_names_are_shown_and_other_settings_are_not() -> None:
    everything = {(name,): frozenset({"production", "team-production"}) for name in CONFIG}
    redactor = Redactor(configs=[CONFIG])
    redactor.learn_read(*read_settings(CONFIG, everything, config_schema(Config)))
    shown = "queue orders-production, billing-production in sb-production"
    assert redactor.text(shown) == shown
    assert redactor.text("by team-production") == f"by {MASK}"
    assert redactor.difference("team-x", "userMetadata") == MASK
    assert redactor.difference("orders-production", "queue") == "orders-production"
