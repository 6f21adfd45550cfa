"""The errors that `dstream validate` reports for a provider's config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dstream.cli.commands.validate import _check
from dstream.config import load
from dstream.errors import ConfigErrors
from dstream.host.provider.describe import Introduction
from dstream.protocol.messages import Description, Hello

SCHEMA: dict[str, Any] = {"properties": {"pin": {"type": "string", "writeOnly": True, "pattern": "^[0-9]+$"}}}


def test_a_line_with_a_secret_is_shown_without_it_although_only_the_schema_marks_it(tmp_path: Path) -> None:
    (tmp_path / "dstream.hcl").write_text(
        'task "t" {\n  input {\n    provider = "x"\n    config {\n      pin = "canary-7"\n    }\n  }\n'
        '  output {\n    provider = "y"\n  }\n}\n'
    )
    block = load(tmp_path / "dstream.hcl", environ={}).tasks["t"].input
    hello = Hello(protocol=1, role="input", name="x", capabilities=["describe"])
    with pytest.raises(ConfigErrors) as caught:
        _check(block, Introduction(hello, Description(SCHEMA)))
    (error,) = caught.value.errors
    assert error.place is not None
    assert error.place.source_line.strip() == 'pin = "***"'
