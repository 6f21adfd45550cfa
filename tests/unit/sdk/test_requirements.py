"""A provider checks its requirements on the machine when it describes itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from dstream.protocol.messages import Description, RequirementCheck, decode_control
from dstream.sdk import OutputProvider, Requirement
from dstream.sdk._serve import _Service


class Config(msgspec.Struct):
    pass


class Plain(OutputProvider[Config]):
    pass


class Needy(OutputProvider[Config]):
    @classmethod
    def requirements(cls) -> Sequence[Requirement]:
        return [Requirement("driver", True, "v2"), Requirement("license", False, "not found", "Copy it to /etc/acme.")]


class Broken(OutputProvider[Config]):
    @classmethod
    def requirements(cls) -> Sequence[Requirement]:
        raise OSError("no such device")


class Pipe:
    has_host = True

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def send(self, line: bytes) -> None:
        self.lines.append(line)


def described(provider: type[OutputProvider[Any]]) -> Description:
    pipe = Pipe()
    assert _Service(provider, pipe).answer(b'{"command":"describe"}') == 0  # type: ignore[arg-type]  # sends only
    (line,) = pipe.lines
    message = decode_control(line)
    assert isinstance(message, Description)
    return message


def test_a_description_has_the_requirements() -> None:
    assert described(Needy).requirements == [
        RequirementCheck("driver", True, "v2"),
        RequirementCheck("license", False, "not found", "Copy it to /etc/acme."),
    ]


def test_a_provider_without_requirements_lists_none() -> None:
    assert described(Plain).requirements == []


def test_a_check_that_raises_is_a_failed_requirement_and_keeps_the_schema() -> None:
    found = described(Broken)
    assert "Config" in found.config_schema["$defs"]
    assert found.requirements == [RequirementCheck("requirements", False, "check failed: OSError: no such device")]


@pytest.mark.parametrize(
    "fields",
    [{}, {"requirements": [{"name": "driver", "ok": True, "of_a_later_version": 1}], "of_a_later_version": {}}],
)
def test_older_and_newer_descriptions_can_be_read(fields: dict[str, Any]) -> None:
    line = json.dumps({"dstream": "description", "config_schema": {}, **fields}).encode()
    assert isinstance(decode_control(line), Description)
