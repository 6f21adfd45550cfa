"""The options that every command takes, before or after its name."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from dstream.errors import DStreamError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Options:
    """The options as given on the command line."""

    config: Path | None = None
    variables: tuple[str, ...] = ()
    variable_files: tuple[Path, ...] = ()
    log_level: str | None = None
    log_format: Literal["text", "json"] | None = None
    no_color: bool = False
    as_json: bool = False
    chdir: Path | None = None
    untrusted: bool = False
    deployment: str | None = None
    """Of `dstream deploy`: the name of the deployment, empty for the only one. None: another command."""

    def over(self, other: Options) -> Options:
        """Return these options, with unset ones filled in from `other`."""
        return Options(
            config=self.config or other.config,
            variables=other.variables + self.variables,
            variable_files=other.variable_files + self.variable_files,
            log_level=self.log_level or other.log_level,
            log_format=self.log_format or other.log_format,
            no_color=self.no_color or other.no_color,
            as_json=self.as_json or other.as_json,
            chdir=self.chdir or other.chdir,
            untrusted=self.untrusted or other.untrusted,
            deployment=self.deployment if other.deployment is None else other.deployment,
        )

    @property
    def config_path(self) -> Path:
        return (self.chdir or Path()) / (self.config or os.environ.get("DSTREAM_CONFIG") or "dstream.hcl")

    def is_untrusted(self, environ: Mapping[str, str]) -> bool:
        """Return whether the file may not run programs or read this machine, by `--untrusted` or DSTREAM_UNTRUSTED."""
        return self.untrusted or environ.get("DSTREAM_UNTRUSTED", "") not in ("", "0", "false")

    def variable_values(self, environ: Mapping[str, str]) -> dict[str, Any]:
        """Return the values of `--var-file` and `--var`; the last wins, `--var` over files. Raises ConfigErrors."""
        from dstream.config import load_variables  # slow to import; `--help` and `version` need no configuration

        values: dict[str, Any] = {}
        for path in self.variable_files:
            values.update(load_variables(path, environ=environ, is_untrusted=self.is_untrusted(environ)))
        for text in self.variables:
            name, separator, value = text.partition("=")
            if not separator:
                raise click.BadParameter(f'"{text}" is not NAME=VALUE', param_hint="--var")
            values[name] = value
        return values

    @property
    def again(self) -> list[str]:
        """The options that a suggested command repeats to use the same file and stack. Secrets are masked."""
        target = ["--target", shlex.quote(self.deployment)] if self.deployment else []
        return [*target, *self._shared]

    @property
    def _shared(self) -> list[str]:
        """Those that every command takes."""
        from dstream.redact import is_secret_name

        parts = ["--untrusted"] if self.untrusted else []
        parts += [] if self.chdir is None else ["--chdir", str(self.chdir)]
        parts += [] if self.config is None else ["--config", str(self.config)]
        for path in self.variable_files:
            parts += ["--var-file", str(path)]
        for text in self.variables:
            name = text.partition("=")[0]
            parts += ["--var", f"{name}=***" if is_secret_name(name) else text]
        return [shlex.quote(part) for part in parts]

    def repeat_in(self, error: DStreamError) -> None:
        """Add these options to the commands that the error's hints suggest in backticks: `dstream run orders`."""
        self.name_commands_in(error)
        for each in error.errors:
            each.hint = _SUGGESTED.sub(self._repeated, each.hint)

    def _repeated(self, suggested: re.Match[str]) -> str:
        is_deploy = suggested[0].startswith("dstream deploy ")
        return " ".join([suggested[0], *(self.again if is_deploy else self._shared)])

    def name_commands_in(self, error: DStreamError) -> None:
        """Name the commands of `dstream deploy` in an error that names those of tasks."""
        for each in error.errors:
            each.message, each.hint = self.commands_in(each.message), self.commands_in(each.hint)

    def commands_in(self, text: str) -> str:
        """Return the text with the commands of `dstream deploy` in place of those of tasks: `dstream deploy init`."""
        return text if self.deployment is None else _LIFECYCLE.sub(r"dstream deploy \1", text)

    def audited(self, command: str) -> str:
        """Return the command as the audit log names it."""
        return command if self.deployment is None else f"deploy {command}"

    @property
    def level(self) -> str:
        return self.log_level or os.environ.get("DSTREAM_LOG_LEVEL", "info")

    def color(self, stream: Any = None) -> bool:
        """Return whether to use color: only on a terminal, and never when NO_COLOR is set (no-color.org)."""
        stream = stream or sys.stderr
        return not self.no_color and not os.environ.get("NO_COLOR") and bool(stream.isatty())


OPTION_NAMES = tuple(name for name in Options.__slots__ if name != "deployment")
"""The parameters that every command takes."""
_SUGGESTED = re.compile(
    r"(?<=`)dstream (?:deadletter|deploy \w+|destroy|init|list|plan|provider (?:install|lock)|run|state|status|unlock"
    r"|validate)\b[^`]*(?=`)"
)
_LIFECYCLE = re.compile(r"\bdstream (plan|init|status|destroy)\b")
_LEVELS = ["debug", "info", "warning", "error"]
_OPTIONS = (
    click.option("-c", "--config", type=click.Path(path_type=Path), help="HCL file or folder (default: dstream.hcl)."),
    click.option(
        "--var",
        "variables",
        multiple=True,
        metavar="NAME=VALUE",
        help="Set a variable of the HCL file; may be repeated.",
    ),
    click.option(
        "--var-file",
        "variable_files",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Set variables from a file of NAME = VALUE lines; may be repeated.",
    ),
    click.option("-l", "--log-level", type=click.Choice(_LEVELS), help="Minimum log level (default: info)."),
    click.option("--log-format", type=click.Choice(["text", "json"]), help="Log format (default: text)."),
    click.option("--no-color", is_flag=True, help="Disable colored output."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout."),
    click.option(
        "--chdir", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Change to this directory first."
    ),
    click.option("--untrusted", is_flag=True, help="Refuse programs, env(), file() and secret() in the HCL file."),
)


def with_options(function: F) -> F:
    """Add the options; the command receives them, merged with the group's, as `options`."""

    def merged(*args: Any, **given: Any) -> Any:
        own = Options(**{name: given.pop(name) for name in OPTION_NAMES})
        context = click.get_current_context()
        options = own.over(context.obj or Options())
        try:
            return function(*args, options=options, **given)
        except DStreamError as error:
            options.repeat_in(error)
            raise

    merged.__name__ = function.__name__
    merged.__doc__ = function.__doc__
    merged.__dict__.update(function.__dict__)
    for option in reversed(_OPTIONS):
        merged = option(merged)
    return merged  # type: ignore[return-value]  # click's decorators keep the call's shape
