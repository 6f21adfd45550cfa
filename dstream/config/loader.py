"""Loads a file or folder as a Project: render, parse, read the blocks, evaluate."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType

from dstream.config.blocks.body_reader import BodyReader
from dstream.config.blocks.complaints import Complaints
from dstream.config.blocks.provider_block import ProviderBlockReader
from dstream.config.blocks.provider_config import is_unset
from dstream.config.blocks.settings import read_settings
from dstream.config.blocks.task import TaskReader
from dstream.config.blocks.variable import variable_definition
from dstream.config.files import files_of, parsed
from dstream.config.hcl.problem import did_you_mean
from dstream.config.hcl.source import SourceFile
from dstream.config.hcl.syntax import Block, Body
from dstream.config.model import ROLES, Project, ProviderBlock, Role, Settings, Task
from dstream.config.untrusted import budget, refuse_programs
from dstream.config.values.environment import Environment, utc_now
from dstream.config.values.functions import functions
from dstream.config.values.key_vault_secret import NoKeyVault, Unread
from dstream.config.values.names import MemberLookup
from dstream.config.values.scope import NamedValue, Scope
from dstream.config.values.values import Value
from dstream.errors import ConfigError, ConfigErrors, SourceLocation
from dstream.key_vault.client import KeyVaults

_TOP_LEVEL = ("dstream", "variable", "locals", "task", "deployment")
_NO_VARIABLES: Mapping[str, Value] = MappingProxyType({})


def load(
    path: Path,
    *,
    variables: Mapping[str, Value] = _NO_VARIABLES,
    environ: Mapping[str, str],
    only: Collection[str] | None = None,
    roles: Collection[Role] = ROLES,
    deployments: Collection[str] | None = (),
    ask_vaults: bool = True,
    defer_unset: bool = False,
    is_untrusted: bool = False,
    now: Callable[[], datetime] = utc_now,
) -> Project:
    """Load the project from a file, or from all *.hcl files in a folder.

    Raises ConfigErrors with every error, in file order; AuthError or UnreachableError for the first key vault that
    cannot be read.

    - `variables`: values for `variable` blocks; text is parsed according to the variable's type.
    - `only`: evaluate the config of these tasks; that of others is not evaluated and stays empty.
    - `roles`: likewise for the blocks with these roles.
    - `deployments`: evaluate the config of these deployments; None: of all.
    - `ask_vaults`: if false, connect to nothing: settings that need a key vault are omitted and listed in
      `ProviderBlock.unread`.
    - `defer_unset`: omit settings that need an unset environment variable, and keep their errors in
      `ProviderBlock.unset`; those of variables and locals in `Project.unset`.
    - `is_untrusted`: raise RefusedError if the file names programs or reads the machine, or takes too much time or
      memory.
    - `now`: the time for timestamp().
    """
    vaults = KeyVaults() if ask_vaults and not is_untrusted else NoKeyVault()
    around = Environment(environ, _folder(path), now, vaults, is_untrusted)
    with closing(vaults), budget(path) if is_untrusted else nullcontext():
        project = _load(path, around, variables, only, roles, deployments, defer_unset)
    if is_untrusted:
        refuse_programs(project)
    return project


def _folder(path: Path) -> Path:
    return (path if path.is_dir() else path.parent).absolute()


def _load(
    path: Path,
    around: Environment,
    variables: Mapping[str, Value],
    only: Collection[str] | None,
    roles: Collection[Role],
    deployments: Collection[str] | None,
    defer_unset: bool,
) -> Project:
    complaints = Complaints()
    files: list[tuple[SourceFile, Body]] = []
    with complaints.collecting():
        for file in files_of(path):
            with complaints.collecting():
                files.append(parsed(file, around))
    complaints.raise_if_any()
    reading = _Reading(Scope(functions(around)), complaints, variables, around.environ)
    reading.read(files)
    settings, tasks = reading.evaluate(only, roles, defer_unset)
    deployed = reading.deployments(deployments, defer_unset)
    complaints.raise_if_any()
    return Project(
        path,
        around.folder,
        settings,
        MappingProxyType(tasks),
        reading.unset,
        around.is_untrusted,
        MappingProxyType(deployed),
        frozenset(around.files_read),
    )


class _Reading:
    """Reads the blocks of all files into one scope, then evaluates them."""

    def __init__(
        self, scope: Scope, complaints: Complaints, variables: Mapping[str, Value], environ: Mapping[str, str]
    ) -> None:
        self._scope = scope
        self._complaints = complaints
        self._variables = variables
        self._environ = environ
        self._firsts: dict[tuple[str, str], SourceLocation] = {}
        self.unset: tuple[ConfigError | ConfigErrors, ...] = ()
        """With `defer_unset`: errors of variables and locals that need an unset environment variable."""
        self._settings: BodyReader | None = None
        self._tasks: dict[str, TaskReader] = {}
        self._deployments: dict[str, ProviderBlockReader] = {}

    def read(self, files: Sequence[tuple[SourceFile, Body]]) -> None:
        for source, body in files:
            self._reader(source, body, "").check((), _TOP_LEVEL)
            for block in body.blocks:
                if block.name in _TOP_LEVEL:
                    self._read_block(source, block)
        for name in sorted(self._variables.keys() - self._scope.variables.keys()):
            hint = did_you_mean(name, self._scope.variables) or f'Declare it: variable "{name}" {{}}'
            self._complaints.add(ConfigError("config.undefined", f'unknown variable "{name}"', hint=hint))

    def evaluate(
        self, only: Collection[str] | None, roles: Collection[Role], defer_unset: bool
    ) -> tuple[Settings, dict[str, Task]]:
        """Evaluate the settings and tasks; if everything is requested, also unused variables and locals, to report
        their errors."""
        if only is None and set(roles) == set(ROLES):
            for definition in [*self._scope.variables.values(), *self._scope.locals.values()]:
                with suppress(Unread), self._complaints.collecting():
                    self._check(definition, defer_unset)
        settings = read_settings(self._settings) if self._settings is not None else Settings()
        tasks: dict[str, Task] = {}
        for name, reader in self._tasks.items():
            task = reader.task(with_config=roles if only is None or name in only else (), defer_unset=defer_unset)
            if task is not None:
                tasks[name] = task
        return settings, tasks

    def deployments(self, evaluated: Collection[str] | None, defer_unset: bool) -> dict[str, ProviderBlock]:
        found = {
            name: reader.block(with_config=evaluated is None or name in evaluated, defer_unset=defer_unset)
            for name, reader in self._deployments.items()
        }
        return {name: block for name, block in found.items() if block is not None}

    def _check(self, definition: NamedValue, defer_unset: bool) -> None:
        try:
            definition.value()
        except (ConfigError, ConfigErrors) as error:
            if not defer_unset or not is_unset(error):
                raise
            self.unset = (*self.unset, error)

    def _read_block(self, source: SourceFile, block: Block) -> None:
        reader = self._reader(source, block.body, _described(block))
        labels = 1 if block.name in ("variable", "task", "deployment") else 0
        if len(block.labels) != labels:
            wanted = f'{block.name} "NAME" {{ ... }}' if labels else f"{block.name} {{ ... }}"
            at = block.labels[labels].at if len(block.labels) > labels else block.at
            reader.complain("config.label", f"use the form {wanted}", at)
            return
        label = block.labels[0].text if labels else ""
        if block.name != "locals" and not self._is_first(reader, block, label):
            return
        match block.name:
            case "dstream":
                self._settings = reader
            case "locals":
                self._read_locals(reader)
            case "variable":
                definition = variable_definition(label, block, reader, self._variables, self._environ)
                self._scope.variables[label] = definition
            case "deployment":
                self._read_deployment(reader, block, label)
            case _:
                self._read_task(reader, block, label)

    def _read_deployment(self, reader: BodyReader, block: Block, name: str) -> None:
        if self._is_valid_name(reader, block, name):
            path = f"deployment.{name}"
            self._deployments[name] = ProviderBlockReader("output", block, reader, path, "deployment")

    def _is_valid_name(self, reader: BodyReader, block: Block, name: str) -> bool:
        """Whether it can be part of file names. Tasks and deployments share the names of records."""
        if not name or name.strip(".") == "" or any(char in name for char in '/\\\0\n"'):
            hint = "The name must not be empty, consist of dots, or contain /, \\, quotes or line breaks."
            reader.complain("config.label", f"invalid {block.name} name", block.labels[0].at, hint)
            return False
        if name in self._tasks or name in self._deployments:
            message = f'a task and a deployment are both called "{name}"'
            reader.complain("config.duplicate", message, block.labels[0].at, "Rename one of them.")
            return False
        return True

    def _read_task(self, reader: BodyReader, block: Block, name: str) -> None:
        if not self._is_valid_name(reader, block, name):
            return
        task = TaskReader(name, block, reader)
        self._tasks[name] = task
        namespace: MemberLookup = task.namespace
        self._scope.tasks[name] = namespace

    def _read_locals(self, reader: BodyReader) -> None:
        reader.check({attribute.name for attribute in reader.body.attributes}, ())
        for attribute in reader.body.attributes:
            place = reader.source.place(attribute.at, reader.block)
            first = self._scope.locals.get(attribute.name)
            if first is None:
                self._scope.locals[attribute.name] = self._scope.define(
                    f"local.{attribute.name}", place, partial(reader.evaluate, attribute)
                )
                self._scope.written_locals[attribute.name] = reader.source, attribute.value
            elif reader.attribute(attribute.name) is attribute:  # the reader reports those within one block
                message = f'the local "{attribute.name}" is set twice (first at {first.place})'
                self._complaints.add(ConfigError("config.duplicate", message, place=place))

    def _is_first(self, reader: BodyReader, block: Block, label: str) -> bool:
        place = reader.source.place(block.at, reader.block)
        first = self._firsts.setdefault((block.name, label), place)
        if first is place:
            return True
        message = f"{_described(block)} is defined twice (first at {first})"
        self._complaints.add(ConfigError("config.duplicate", message, place=place))
        return False

    def _reader(self, source: SourceFile, body: Body, block: str) -> BodyReader:
        return BodyReader(source, body, block, self._scope, self._complaints)


def _described(block: Block) -> str:
    return " ".join([block.name, *(f'"{label.text}"' for label in block.labels)])
