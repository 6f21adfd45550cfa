"""Compares the tables with azure-native's classes: nothing is missing and nothing is invented."""

from __future__ import annotations

import collections.abc
import enum
import importlib
import importlib.metadata
import inspect
import re
import sys
import types
import typing
from pathlib import Path
from typing import Any

import pulumi_azure_native
import pytest
from dstream_sandbox.azure.functions import FUNCTIONS
from dstream_sandbox.azure.provider import VERSION
from dstream_sandbox.azure.resource_types import TYPES, Kind, Property, ResourceType

_PYTHON: dict[Kind, type] = {
    "text": str, "duration": str, "location": str, "flag": bool, "integer": int, "number": float,
    "map": collections.abc.Mapping, "texts": collections.abc.Sequence,
    "objects": collections.abc.Sequence,
}  # fmt: skip


class _Bare(types.ModuleType):
    """A package whose modules can be imported one by one: importing all of `network` takes seconds."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = [str(Path(pulumi_azure_native.__file__).parent / name.rpartition(".")[2])]


_each_type = pytest.mark.parametrize("kind", TYPES.values(), ids=lambda kind: kind.token)


@_each_type
def test_every_argument_is_known_or_listed_as_not_emulated(kind: ResourceType) -> None:
    known = {part.name for part in kind.parts} | {each.name for each in kind.properties} | set(kind.not_emulated)
    assert set(_arguments(_args_class(kind))) == known


@_each_type
def test_required_properties_match_azure_native(kind: ResourceType) -> None:
    arguments = _arguments(_args_class(kind))
    wanted = {name for name, each in arguments.items() if each.default is inspect.Parameter.empty}
    parts = {part.name for part in kind.parts if part.name != kind.own_name}
    # azure-native fills in the location of the resource group.
    assert wanted == parts | {each.name for each in kind.properties if each.required and each.kind != "location"}


@_each_type
def test_property_types_match_azure_native(kind: ResourceType) -> None:
    _compare(kind.properties, _args_class(kind))


@_each_type
def test_outputs_match_azure_native(kind: ResourceType) -> None:
    """Only outputs that azure-native sets itself; a program's inputs are outputs as well."""
    source = inspect.getsource(_module(kind.token, kind.token.rpartition(":")[2]))
    only_outputs = re.findall(r'__props__\.__dict__\["(\w+)"\] = None', source.partition("def get(")[0])
    assert {_camel(name) for name in only_outputs} == set(kind.outputs)


@_each_type
def test_api_versions_match_azure_native(kind: ResourceType) -> None:
    source = inspect.getsource(_module(kind.token, kind.token.rpartition(":")[2]))
    if stated := re.search(r"Uses Azure REST API version ([\w-]+)\.", source):
        assert stated[1] == kind.api_version


@pytest.mark.parametrize("token", sorted(FUNCTIONS))
def test_functions_exist_in_azure_native(token: str) -> None:
    _, package, name = token.split(":")
    assert callable(getattr(_module(f"azure-native:{package}:", name), _snake(name)))


def test_the_version_matches_the_installed_azure_native() -> None:
    assert importlib.metadata.version("pulumi-azure-native") == VERSION


def _compare(properties: tuple[Property, ...], args_class: type) -> None:
    arguments = _arguments(args_class)
    for each in properties:
        wanted = _python_type(arguments[each.name].annotation, inspect.getmodule(args_class))
        if each.kind == "nested":
            assert inspect.isclass(wanted), (each.name, wanted)
        elif each.kind == "object":
            assert {sub.name for sub in each.properties} == set(_arguments(wanted))
            _compare(each.properties, wanted)
        else:
            assert issubclass(wanted, _PYTHON[each.kind]), (each.name, wanted)
        if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
            assert set(each.choices) <= {member.value for member in wanted}


def _python_type(annotation: Any, module: Any) -> Any:
    """The type without Input, Optional and equivalent alternatives."""
    while True:
        if isinstance(annotation, typing.ForwardRef):
            annotation = getattr(module, annotation.__forward_arg__)
        elif typing.get_origin(annotation) is typing.Union:
            annotation = typing.get_args(annotation)[0]
        else:
            return typing.get_origin(annotation) or annotation


def _arguments(args_class: type) -> dict[str, inspect.Parameter]:
    """The arguments by their protocol names."""
    parameters = inspect.signature(args_class.__init__).parameters  # type: ignore[misc]
    return {_camel(name): each for name, each in parameters.items() if not name.startswith("__")}


def _args_class(kind: ResourceType) -> type:
    name = kind.token.rpartition(":")[2]
    found: type = getattr(_module(kind.token, name), f"{name}Args")
    return found


def _module(token: str, name: str) -> Any:
    package = f"pulumi_azure_native.{token.split(':')[1]}"
    if package.endswith(".network") and not isinstance(sys.modules.get(package), _Bare):
        sys.modules[package] = _Bare(package)
    return importlib.import_module(f"pulumi_azure_native.{token.split(':')[1]}.{_snake(name)}")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)
