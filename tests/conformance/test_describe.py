"""What a provider says about itself outside a run."""

from __future__ import annotations

import json

import pytest

from dstream.errors import ConfigError, SourceLocation
from dstream.host import ProviderSpec
from dstream.host.provider.describe import introduce


def test_an_invalid_schema_is_the_providers_error_at_its_block() -> None:
    hello = {"dstream": "hello", "protocol": 1, "role": "output", "name": "odd", "capabilities": ["describe"]}
    description = {"dstream": "description", "config_schema": {"properties": ["queue"]}}
    script = f"echo '{json.dumps(hello)}'; read -r line; echo '{json.dumps(description)}'".replace('": ', '":')
    spec = ProviderSpec(argv=["sh", "-c", script], config={}, label="./odd", place=SourceLocation("dstream.hcl", 7))
    with pytest.raises(ConfigError) as caught:
        introduce(spec, "output", cwd=None, timeout_s=60.0, describe=True)
    assert caught.value.code == "provider.bad_schema"
    assert "$.properties" in caught.value.message
    assert caught.value.place == spec.place
