"""Fits a block's config to its provider: converts the values to the types of the schema, and reports every error with
its line."""

from __future__ import annotations

from typing import Any

from dstream.config.model import ProviderBlock
from dstream.config.schema.check import UNREAD, Schema, mismatches
from dstream.config.schema.convert import converted
from dstream.errors import ConfigError, ConfigErrors


def fitted(block: ProviderBlock, schema: Schema) -> dict[str, Any]:
    """Return the config that the provider gets. Settings without a value (`unread`, `unset`) count as valid and are
    left out. Raises ConfigErrors with everything that the provider would refuse, in any order."""
    if "" in block.unread:
        return dict(block.config)
    config: dict[str, Any] = converted(dict(block.config), schema)
    without_value = dict.fromkeys([*block.unread, *block.unset], UNREAD)
    errors = [
        ConfigError(
            "config.invalid",
            found.message,
            place=(block.place_of if found.at_name else block.value_place_of)(found.path),
            hint=found.hint,
            config_path=found.path,
        )
        for found in mismatches({**config, **without_value}, schema)
    ]
    if errors:
        raise ConfigErrors(errors)
    return config
