"""The capability `infrastructure` is what the class can do; nothing is declared."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from dstream.sdk import (
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
    """No base class: the protocol is its methods."""


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
def test_an_output_with_all_four_methods_says_so_in_its_hello(provider: type[Any], has_it: bool) -> None:
    assert ("infrastructure" in hello(provider)["capabilities"]) is has_it


def test_a_class_that_derives_from_the_base_and_lacks_a_method_does_not_start() -> None:
    with pytest.raises(TypeError, match="Half derives from InfrastructureProviderBase but lacks: destroy, status"):
        StdioProviderHost(Half)


def test_a_class_with_some_of_the_methods_by_chance_is_an_output_like_any_other() -> None:
    class Chance(OutputProvider[Config]):
        def status(self) -> str:
            return "fine"

    assert not manages_infrastructure(Chance)


def test_the_config_is_found_beside_the_base() -> None:
    assert ByBase.config_type() is Config
