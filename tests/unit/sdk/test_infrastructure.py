"""The capability `infrastructure` follows from the methods of the class, without a declaration."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from dstream.sdk import (
    Claim,
    InfrastructureContext,
    InfrastructureProviderBase,
    InputProvider,
    OutputProvider,
    Plan,
    Result,
    Status,
    StdioProviderHost,
)
from dstream.sdk._infrastructure import manages_infrastructure


class Config(msgspec.Struct):
    pass


class Plain(OutputProvider[Config]):
    pass


class Methods:
    def init(self, context: InfrastructureContext) -> Result:
        return Result()

    def plan(self, context: InfrastructureContext) -> Plan:
        return Plan()

    def status(self, context: InfrastructureContext) -> Status:
        return Status()

    def destroy(self, context: InfrastructureContext) -> Result:
        return Result()


class ByMethods(Methods, OutputProvider[Config]):
    """Has the four methods but not the base class."""


class ByBase(Methods, OutputProvider[Config], InfrastructureProviderBase[Config]):
    pass


class Half(OutputProvider[Config], InfrastructureProviderBase[Config]):
    def init(self, context: InfrastructureContext) -> Result:
        return Result()

    def plan(self, context: InfrastructureContext) -> Plan:
        return Plan()


class Reader(Methods, InputProvider[Config]):
    pass


def hello(provider: type[Any]) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(StdioProviderHost(provider).hello())
    return line


@pytest.mark.parametrize(("provider", "has_it"), [(Plain, False), (ByMethods, True), (ByBase, True), (Reader, False)])
def test_an_output_with_all_four_methods_has_the_capability(provider: type[Any], has_it: bool) -> None:
    assert ("infrastructure" in hello(provider)["capabilities"]) is has_it


def test_only_a_class_that_checks_configs_has_the_capability() -> None:
    class Checks(Plain):
        @classmethod
        def check_config(cls, config: Config) -> list[Claim]:
            return []

    assert ["check" in hello(each)["capabilities"] for each in (Plain, Checks)] == [False, True]


def test_a_class_with_the_base_that_lacks_a_method_does_not_start() -> None:
    with pytest.raises(TypeError, match="Half derives from InfrastructureProviderBase but lacks: destroy, status"):
        StdioProviderHost(Half)


def test_a_class_with_some_of_the_methods_is_a_plain_output() -> None:
    class Chance(OutputProvider[Config]):
        def status(self) -> str:
            return "fine"

    assert not manages_infrastructure(Chance)


def test_the_config_type_is_found_with_several_bases() -> None:
    assert ByBase.config_type() is Config
