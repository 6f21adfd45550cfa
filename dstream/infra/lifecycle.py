"""The base class of providers whose infrastructure runs on the Pulumi engine.

Light, because it is imported before a provider's first line. The engine's SDK is loaded when a command arrives.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dstream.sdk import InfrastructureContext, InfrastructureProviderBase, Plan, Result, Status

if TYPE_CHECKING:
    from dstream.infra.commands import Commands
    from dstream.infra.definition import Definition
    from dstream.infra.engine.events import Severity

ConfigT = TypeVar("ConfigT")

_GRPC = {"GRPC_ENABLE_FORK_SUPPORT": "0", "GRPC_VERBOSITY": "ERROR", "no_grpc_proxy": "127.0.0.1,localhost"}
"""Keep gRPC from logging forks to stderr, and its connections to the engine from a proxy: gRPC uses `grpc_proxy`,
`https_proxy` and `http_proxy` even for the local host (grpc, doc/environment_variables.md). It reads the first two
variables when imported.
"""


class PulumiInfrastructure(InfrastructureProviderBase[ConfigT]):
    """A second base class next to OutputProvider: define the resources and get the four lifecycle commands.

    class QueueOutput(OutputProvider[Config], PulumiInfrastructure[Config]):
        def definition(self, context): return Definition(program=..., spec=...)
    """

    @abstractmethod
    def definition(self, context: InfrastructureContext) -> Definition:
        """Return the infrastructure of `self.config`. Called once per command; do heavy imports here."""

    def recorded(self, context: InfrastructureContext) -> Definition:
        """Return the definition for `status` and `destroy`, which use the record and never run the program.

        Override it so that invalid settings that only affect creating or using the infrastructure do not block a
        clean-up.
        """
        return self.definition(context)

    def init(self, context: InfrastructureContext) -> Result:
        with self._opened("init", context) as commands:
            return commands.init()

    def plan(self, context: InfrastructureContext) -> Plan:
        with self._opened("plan", context) as commands:
            return commands.plan()

    def status(self, context: InfrastructureContext) -> Status:
        with self._opened("status", context) as commands:
            return commands.status()

    def destroy(self, context: InfrastructureContext) -> Result:
        with self._opened("destroy", context) as commands:
            return commands.destroy()

    @contextmanager
    def _opened(self, command: str, context: InfrastructureContext) -> Iterator[Commands]:
        for name, value in _GRPC.items():
            os.environ.setdefault(name, value)
        from dstream.infra.commands import Commands
        from dstream.infra.engine.environment import place_of
        from dstream.infra.engine.opening import opened
        from dstream.infra.engine.runner import Asked

        place = place_of(context.infrastructure, os.environ)
        makes = command == "init" or (command == "plan" and not context.options.destroy)
        definition = self.definition(context) if makes else self.recorded(context)
        if makes and context.infrastructure.program:
            from dstream.infra.hook import ProgramHook

            definition = ProgramHook(Path(context.infrastructure.program)).applied_to(definition)
        options = context.options
        asked = Asked(
            command,
            tuple(options.target),
            options.target_dependents,
            tuple(options.exclude),
            tuple(options.replace),
            options.parallel,
        )

        def tell(severity: Severity, message: str, name: str) -> None:
            context.diagnostic(severity, message, name=name)

        with opened(place, definition, asked, os.environ, context.stop, tell) as session:
            yield Commands(session, definition, context)
