"""Every command and flag that an error suggests exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from dstream.cli.commands.run import run
from dstream.cli.main import cli
from dstream.cli.options import Options
from dstream.errors import ConfigError, ConfigErrors

ROOT = Path(__file__).parent.parent.parent.parent
COMMAND = re.compile(r"`dstream ([a-z]+)(?: ([a-z]+))?")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def texts(folder: str) -> Iterator[str]:
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.mark.parametrize("folder", ["dstream", "providers", "stacks"])
def test_every_command_named_in_a_text_exists(folder: str) -> None:
    context = click.Context(cli)
    missing = []
    for name, inner in {found for text in texts(folder) for found in COMMAND.findall(text)}:
        command = cli.get_command(context, name)
        if command is None or (isinstance(command, click.Group) and inner and not command.get_command(context, inner)):
            missing.append(f"dstream {name} {inner}".strip())
    assert missing == []


def test_every_flag_named_by_the_host_is_a_flag_of_run() -> None:
    known = {flag for parameter in run.params for flag in parameter.opts}
    named = {flag for text in texts("dstream/host") for flag in FLAG.findall(text)}
    assert "--reset" in named
    assert named - known == set()


def test_suggested_commands_repeat_options_without_secrets() -> None:
    options = Options(config=Path("other.hcl"), variables=("env=prod", "password=hunter2"))
    assert _repeated(options, "Run `dstream init orders --import`; see docs/reference/cli.md.") == (
        "Run `dstream init orders --import --config other.hcl --var env=prod --var 'password=***'`; see docs/reference/cli.md."
    )
    assert _repeated(Options(), "Run `dstream init orders`.") == "Run `dstream init orders`."
    assert _repeated(options, "Run `dstream doctor`.") == "Run `dstream doctor`."


def test_each_of_several_errors_repeats_the_options() -> None:
    errors = ConfigErrors([ConfigError("a.b", "first"), ConfigError("a.b", "second", hint="Run `dstream init`.")])

    Options(config=Path("other.hcl")).repeat_in(errors)

    assert [each.hint for each in errors.errors] == ["", "Run `dstream init --config other.hcl`."]


def _repeated(options: Options, hint: str) -> str:
    error = ConfigError("a.b", "message", hint=hint)
    options.repeat_in(error)
    return error.hint
