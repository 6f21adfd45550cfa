"""The flags of `plan`, `init`, `status` and `destroy`."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dstream.cli.completing import task_names
from dstream.cli.lifecycle.traced import traced_command
from dstream.cli.options import Options, with_options
from dstream.config.units import seconds
from dstream.protocol.lifecycle import LifecycleOptions

STDOUT = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The flags as given; flags that a command lacks keep their defaults. Times in seconds."""

    tasks: Sequence[str] = ()
    all_tasks: bool = False
    target: Sequence[str] = ()
    target_dependents: bool = False
    exclude: Sequence[str] = ()
    replace: Sequence[str] = ()
    parallel: int | None = None
    markdown: Path | None = None
    json_stream: bool = False
    refresh: bool = True
    refresh_only: bool = False
    import_: bool = False
    lock_timeout: float = 0.0
    allow_data_loss: bool = False
    confirm: Sequence[str] = ()
    destroy: bool = False
    yes: bool = False
    detailed_exitcode: bool = False
    out: Path | None = None
    show: Path | None = None
    plan_file: Path | None = None
    replan: bool = False
    sign: Path | None = None
    verify: Path | None = None
    orphan: str = ""

    def lifecycle(self, *, destroy: bool = False) -> LifecycleOptions:
        """Return the options sent to the provider."""
        return LifecycleOptions(
            destroy=destroy,
            target=list(self.target),
            target_dependents=self.target_dependents,
            exclude=list(self.exclude),
            replace=list(self.replace),
            refresh=self.refresh,
            refresh_only=self.refresh_only,
            parallel=self.parallel,
            allow_data_loss=self.allow_data_loss,
            confirmed=list(self.confirm),
            import_=self.import_,
            lock_timeout_s=self.lock_timeout,
        )

    @property
    def chosen(self) -> list[str]:
        """The arguments that choose resources, as a suggested command repeats them."""
        named = (("--target", self.target), ("--exclude", self.exclude), ("--replace", self.replace))
        found = [part for flag, names in named for name in names for part in (flag, shlex.quote(name))]
        return [*found, *["--target-dependents"] * self.target_dependents]

    def check(self, options: Options) -> None:
        """Raise click.UsageError for flags that conflict."""
        from_file = self.show or self.plan_file
        if self.tasks and self.all_tasks:
            raise click.UsageError("Use either TASK or --all, not both.")
        if not (self.tasks or self.all_tasks or from_file):
            raise click.UsageError("Specify at least one task, or use --all.")
        if from_file and (self.chosen or self.import_ or not self.refresh or self.all_tasks or self.destroy):
            raise click.UsageError(
                "A plan file cannot be combined with --all, --destroy, --exclude, --import, --no-refresh, --replace, "
                "--target or --target-dependents."
            )
        if self.target and self.exclude:
            raise click.UsageError("Use either --target or --exclude, not both.")
        if self.target_dependents and not self.target:
            raise click.UsageError("--target-dependents requires --target.")
        if self.replace and self.destroy:
            raise click.UsageError("--replace cannot be combined with --destroy.")
        if self.orphan and (len(self.tasks) != 1 or from_file or self.out):
            raise click.UsageError("--orphan requires exactly one task, and no plan file.")
        if self.replan and not self.plan_file:
            raise click.UsageError("--replan requires --plan.")
        if self.refresh_only and not self.refresh:
            raise click.UsageError("Use either --refresh-only or --no-refresh, not both.")
        if self.sign and not self.out:
            raise click.UsageError("--sign requires --out.")
        if self.out and self.show:
            raise click.UsageError("Use either --out (writes a plan) or --show (reads one), not both.")
        if sum((options.as_json, self.json_stream, self.markdown == STDOUT)) > 1:
            raise click.UsageError("Only one of --json, --json-stream and --markdown - can write to stdout.")


def _duration(context: click.Context, option: click.Parameter, value: str) -> float:
    found = seconds(value)
    if found is None:
        raise click.BadParameter(f'invalid duration "{value}"; use e.g. 90s or 5m')
    return found


_PATH = click.Path(path_type=Path)
_OF_ALL = ("tasks", "all_tasks", "target", "parallel", "markdown", "json_stream")
_FLAGS: dict[str, Callable[[Any], Any]] = {
    "tasks": click.argument("tasks", nargs=-1, metavar="TASK...", shell_complete=task_names),
    "all_tasks": click.option("--all", "all_tasks", is_flag=True, help="All tasks with infrastructure."),
    "target": click.option(
        "--target", multiple=True, metavar="NAME", help="Limit the operation to this resource; may be repeated."
    ),
    "target_dependents": click.option(
        "--target-dependents", is_flag=True, help="With --target: include the resources that depend on it."
    ),
    "exclude": click.option(
        "--exclude", multiple=True, metavar="NAME", help="Leave this resource as it is; may be repeated."
    ),
    "replace": click.option(
        "--replace",
        multiple=True,
        metavar="NAME",
        help="Delete and re-create this resource, even if nothing has changed; may be repeated.",
    ),
    "parallel": click.option(
        "--parallel", type=click.IntRange(min=1), metavar="N", help="Maximum number of resources changed concurrently."
    ),
    "markdown": click.option(
        "--markdown",
        type=_PATH,
        metavar="FILE",
        help="Also write a Markdown summary for pull requests; - writes it to stdout.",
    ),
    "json_stream": click.option(
        "--json-stream", is_flag=True, help="Stream events to stdout, one JSON object per line."
    ),
    "refresh": click.option(
        "--refresh/--no-refresh", default=True, help="Compare with the actual resources (default), or trust the record."
    ),
    "refresh_only": click.option("--refresh-only", is_flag=True, help="Accept drift: record the actual state."),
    "import_": click.option("--import", "import_", is_flag=True, help="Import existing resources instead of failing."),
    "lock_timeout": click.option(
        "--lock-timeout",
        default="0s",
        callback=_duration,
        metavar="TIME",
        help="How long to wait for the stack lock, e.g. 5m.",
    ),
    "allow_data_loss": click.option(
        "--allow-data-loss", is_flag=True, help="Allow replacing or deleting resources that still hold data."
    ),
    "confirm": click.option(
        "--confirm",
        multiple=True,
        metavar="NAME",
        help="Confirm deleting this resource with everything it contains, instead of typing its name; may be repeated.",
    ),
    "destroy": click.option("--destroy", is_flag=True, help="Preview what destroy would delete."),
    "orphan": click.option(
        "--orphan",
        default="",
        metavar="NAME",
        help="Destroy what the removed task NAME recorded, with the output settings of TASK.",
    ),
    "yes": click.option(
        "--yes", is_flag=True, help="Skip the confirmation prompt; required when stdin is not a terminal."
    ),
    "detailed_exitcode": click.option(
        "--detailed-exitcode", is_flag=True, help="Exit with 2 if there are changes or drift."
    ),
    "out": click.option("--out", type=_PATH, metavar="FILE", help="Save the plan to a file for --plan."),
    "show": click.option("--show", type=_PATH, metavar="FILE", help="Show a saved plan file and exit."),
    "plan_file": click.option(
        "--plan",
        "plan_file",
        type=_PATH,
        metavar="FILE",
        help="Apply this saved plan; fail if anything has changed since.",
    ),
    "sign": click.option(
        "--sign", type=_PATH, metavar="KEY", help="With --out: sign the plan with this Ed25519 private key (PEM)."
    ),
    "verify": click.option(
        "--verify",
        type=_PATH,
        metavar="KEY",
        envvar="DSTREAM_VERIFY_PLAN",
        help="Accept only plan files that are signed with this Ed25519 public key (PEM).",
        show_envvar=True,
    ),
    "replan": click.option(
        "--replan",
        is_flag=True,
        help="With --plan: plan again, and apply the new plan if the saved one contains all of its changes.",
    ),
}


def with_flags(*names: str) -> Callable[[Callable[[Flags, Options], int]], Callable[..., int]]:
    """Add the flags shared by all four commands, and the named ones."""

    def decorate(function: Callable[[Flags, Options], int]) -> Callable[..., int]:
        @functools.wraps(function)
        def command(options: Options, **given: Any) -> int:
            flags = Flags(**given)
            flags.check(options)
            return traced_command(function.__name__, options, lambda: function(flags, options))

        decorated: Callable[..., int] = with_options(command)
        for name in reversed((*_OF_ALL, *names)):
            decorated = _FLAGS[name](decorated)
        return decorated

    return decorate
