"""The user's Python file that changes the declared resources or adds others: `infrastructure { program = .. }`.

It runs in the provider's process, as part of its Pulumi program, so everything it declares is in the same plan.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from dstream.errors import ConfigError, DStreamError
from dstream.infra.definition import Definition, Program, Recorded
from dstream.infra.imported_files import files_of

if TYPE_CHECKING:
    import pulumi

_FUNCTIONS = ("transform", "resources")


@dataclass(slots=True)
class DeclaredResource:
    """A resource that the provider declares, as the hook sees it. `transform` may change `inputs` and `options`."""

    type: str
    """Pulumi's type token."""
    name: str
    """As in plans."""
    inputs: dict[str, Any]
    """Arguments, named as in the resource's Python class: `max_delivery_count`."""
    options: pulumi.ResourceOptions
    resource: pulumi.Resource
    """For use in `resources`, such as `resource.id`."""


class ProgramHook:
    """A loaded file. Raises ConfigError `infra.hook_unreadable` and `infra.hook`, with the line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            source = path.read_bytes()
        except OSError as error:
            raise ConfigError(
                "infra.hook_unreadable",
                f"cannot read {path}: {error.strerror}",
                hint="Set program in the infrastructure block to a Python file, relative to the HCL file.",
            ) from error
        self.digest = _digest(path)
        sys.path_hooks.insert(0, _finder_in(path.parent))
        sys.path_importer_cache.pop(str(path.parent), None)
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))
        self._globals: dict[str, Any] = {"__name__": "dstream_infrastructure", "__file__": str(path)}
        self._guarded(lambda: exec(compile(source, str(path), "exec"), self._globals))
        if not any(callable(self._globals.get(name)) for name in _FUNCTIONS):
            raise ConfigError(
                "infra.hook",
                f"{path} defines neither transform(resource) nor resources(declared)",
                hint="Define at least one of them.",
            )

    def applied_to(self, definition: Definition) -> Definition:
        """Return the definition with the hook in its program, and its digest in the spec, so that plans notice it."""

        def continued(recorded: Collection[Recorded], is_destroyed: bool) -> Definition | None:
            found = definition.continued(tuple(recorded), is_destroyed)
            return None if found is None else self.applied_to(found)

        return replace(
            definition,
            program=lambda: self._run(definition.program),
            spec={**definition.spec, "program": self.digest},
            continued=continued,
        )

    async def _run(self, program: Program) -> None:
        import pulumi
        from pulumi.runtime import register_stack_transformation

        declared: list[DeclaredResource] = []
        is_declaring = True

        def see(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
            if not is_declaring:
                return None
            each = DeclaredResource(args.type_, args.name, dict(args.props), args.opts, args.resource)
            declared.append(each)
            self._call("transform", each)
            return pulumi.ResourceTransformationResult(each.inputs, each.options)

        register_stack_transformation(see)
        rest = program()
        if rest is not None:
            await rest
        is_declaring = False
        self._call("resources", declared)

    def _call(self, name: str, argument: object) -> None:
        function = self._globals.get(name)
        if callable(function):
            self._guarded(lambda: function(argument))

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except DStreamError:
            raise
        except Exception as error:
            raise ConfigError(
                "infra.hook", f"{self._path}:{self._line(error)}{type(error).__name__}: {error}"
            ) from error

    def _line(self, error: Exception) -> str:
        """The last line of the file that led to the error: '12: '."""
        if isinstance(error, SyntaxError):
            return f"{error.lineno}: "
        frames = traceback.extract_tb(error.__traceback__)
        lines = [each.lineno for each in frames if each.filename == str(self._path)]
        return f"{lines[-1]}: " if lines else " "


class _SourceLoader(SourceFileLoader):
    """Compiles a module from its text as it is now, which is what the digest is of.

    Python's own loader runs the bytecode of an earlier text that has the same size and was written in the same second.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _finder_in(folder: Path) -> Callable[[str], FileFinder]:
    """Return a path hook for the folder and its packages, but not for libraries installed below it, such as `.venv`."""

    def finder(path: str) -> FileFinder:
        if not Path(path).is_relative_to(folder) or "site-packages" in Path(path).parts:
            raise ImportError(path)
        return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_SourceLoader, SOURCE_SUFFIXES))

    return finder


def _digest(program: Path) -> str:
    """A hash of the file and of the modules that it imports from its folder."""
    found = hashlib.sha256()
    for file in files_of(program):
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()
