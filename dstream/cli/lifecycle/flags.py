"""The flags of `plan`, `init`, `status` and `destroy`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dstream.cli.options import Options, with_options
from dstream.config.units import seconds
from dstream.protocol.lifecycle import LifecycleOptions

STDOUT = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What was given; a flag that the command does not have keeps its default. Times in seconds."""

    tasks: Sequence[str] = ()
    all_tasks: bool = False
    target: Sequence[str] = ()
    parallel: int | None = None
    markdown: Path | None = None
    json_stream: bool = False
    refresh: bool = True
    refresh_only: bool = False
    import_: bool = False
    lock_timeout: float = 0.0
    allow_data_loss: bool = False
    destroy: bool = False
    yes: bool = False
    detailed_exitcode: bool = False
    out: Path | None = None
    show: Path | None = None
    plan_file: Path | None = None

    def lifecycle(self, *, destroy: bool = False) -> LifecycleOptions:
        """As they go to the provider."""
        return LifecycleOptions(
            destroy=destroy,
            target=list(self.target),
            refresh=self.refresh,
            refresh_only=self.refresh_only,
            parallel=self.parallel,
            allow_data_loss=self.allow_data_loss,
            import_=self.import_,
            lock_timeout_s=self.lock_timeout,
        )

    def check(self, options: Options) -> None:
        """Raises click.UsageError for what can't go together."""
        from_file = self.show or self.plan_file
        if self.tasks and self.all_tasks:
            raise click.UsageError("Name the tasks, or take all of them with --all.")
        if not (self.tasks or self.all_tasks or from_file):
            raise click.UsageError("Name the tasks, or take all of them with --all.")
        if from_file and (self.target or self.import_ or not self.refresh or self.all_tasks or self.destroy):
            raise click.UsageError("What a plan file holds can't be changed by other flags.")
        if self.out and self.show:
            raise click.UsageError("--out writes a plan, --show reads one: take one of them.")
        if sum((options.as_json, self.json_stream, self.markdown == STDOUT)) > 1:
            raise click.UsageError("Only one of --json, --json-stream and --markdown - can have stdout.")


def _duration(context: click.Context, option: click.Parameter, value: str) -> float:
    found = seconds(value)
    if found is None:
        raise click.BadParameter(f'"{value}" is no duration such as 90s or 5m')
    return found


_PATH = click.Path(path_type=Path)
_OF_ALL = ("tasks", "all_tasks", "target", "parallel", "markdown", "json_stream")
_FLAGS: dict[str, Callable[[Any], Any]] = {
    "tasks": click.argument("tasks", nargs=-1, metavar="TASK.."),
    "all_tasks": click.option("--all", "all_tasks", is_flag=True, help="All tasks of the file that have any."),
    "target": click.option("--target", multiple=True, metavar="NAME", help="Only this resource; may be given again."),
    "parallel": click.option("--parallel", type=click.IntRange(min=1), metavar="N", help="So many resources at once."),
    "markdown": click.option(
        "--markdown", type=_PATH, metavar="FILE", help="Write it for a pull request, too; - is stdout."
    ),
    "json_stream": click.option("--json-stream", is_flag=True, help="One event a line on stdout, as it happens."),
    "refresh": click.option(
        "--refresh/--no-refresh", default=True, help="Look at what is really there (default), or trust the record."
    ),
    "refresh_only": click.option("--refresh-only", is_flag=True, help="Record what is really there: accept the drift."),
    "import_": click.option("--import", "import_", is_flag=True, help="Take over what exists already."),
    "lock_timeout": click.option(
        "--lock-timeout",
        default="0s",
        callback=_duration,
        metavar="TIME",
        help="Wait so long for another command on the same infrastructure, such as 5m.",
    ),
    "allow_data_loss": click.option(
        "--allow-data-loss", is_flag=True, help="Replace and delete also what holds messages."
    ),
    "destroy": click.option("--destroy", is_flag=True, help="Show what destroy would delete."),
    "yes": click.option("--yes", is_flag=True, help="Don't ask. Needed where there is no terminal to ask at."),
    "detailed_exitcode": click.option(
        "--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes, or drift."
    ),
    "out": click.option("--out", type=_PATH, metavar="FILE", help="Write the plan to a file, for --plan."),
    "show": click.option("--show", type=_PATH, metavar="FILE", help="Show the plan of such a file; asks nobody."),
    "plan_file": click.option(
        "--plan", "plan_file", type=_PATH, metavar="FILE", help="Do exactly what this plan says, or refuse."
    ),
}


def with_flags(*names: str) -> Callable[[Callable[[Flags, Options], int]], Callable[..., int]]:
    """Adds the flags that all have, and the named ones."""

    def decorate(function: Callable[[Flags, Options], int]) -> Callable[..., int]:
        @functools.wraps(function)
        def command(options: Options, **given: Any) -> int:
            flags = Flags(**given)
            flags.check(options)
            return function(flags, options)

        decorated: Callable[..., int] = with_options(command)
        for name in reversed((*_OF_ALL, *names)):
            decorated = _FLAGS[name](decorated)
        return decorated

    return decorate
