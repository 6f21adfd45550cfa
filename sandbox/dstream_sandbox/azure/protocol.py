"""The messages of Pulumi's resource provider protocol, without the rest of Pulumi's SDK.

They are in the package `pulumi.runtime.proto`. Importing it runs `pulumi/__init__.py`, which imports the whole SDK and
adds a third of a second to each start of the sandbox. So the import uses empty parent packages instead.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["grpc_stubs", "plugin_pb2", "provider_pb2"]

_PARENTS = ("pulumi", "pulumi.runtime")


def _messages(*names: str) -> list[Any]:
    lent = [] if "pulumi" in sys.modules else _empty_parents()
    try:
        return [importlib.import_module(f"pulumi.runtime.proto.{name}") for name in names]
    finally:
        for name in lent:
            del sys.modules[name]


def _empty_parents() -> list[str]:
    spec = importlib.util.find_spec("pulumi")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the sandbox's Azure requires the package pulumi: pip install pulumi")
    for name in _PARENTS:
        parent = ModuleType(name)
        parent.__path__ = [str(Path(spec.origin).parent.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = parent
    return list(_PARENTS)


plugin_pb2, provider_pb2, grpc_stubs = _messages("plugin_pb2", "provider_pb2", "provider_pb2_grpc")
