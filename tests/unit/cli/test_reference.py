"""docs/reference/cli-reference.md is generated from the commands' help texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from dstream.cli.command_table import COMMANDS
from dstream.cli.main import cli
from dstream.cli.reference import reference

ROOT = Path(__file__).parent.parent.parent.parent


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        names = COMMANDS if command is cli else command.commands
        for name in names:
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from commands(inner, f"{path} {name}")


ALL = list(commands(cli, "dstream"))
SANDBOX = cli.get_command(click.Context(cli), "sandbox")
assert SANDBOX is not None
GROUPS = [(path, each) for path, each in [*ALL, *commands(SANDBOX, "dstream sandbox")] if isinstance(each, click.Group)]


def test_the_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "reference" / "cli-reference.md").read_text()
    assert page == reference(), "regenerate it with: python -m dstream.cli.reference > docs/reference/cli-reference.md"


@pytest.mark.parametrize(("path", "command"), ALL, ids=[path for path, _ in ALL])
def test_the_help_of_every_command_ends_with_an_example(path: str, command: click.Command) -> None:
    assert command.help
    title, *examples = [line for line in (command.epilog or "").splitlines() if line.strip("\b ")]
    assert title in ("Example:", "Examples:")
    assert any(path in line for line in examples)
    assert all(line.startswith("  ") for line in examples)


@pytest.mark.parametrize(("path", "group"), GROUPS, ids=[path for path, _ in GROUPS])
def test_no_summary_of_a_command_is_cut_off_on_80_columns(path: str, group: click.Group) -> None:
    shown = group.get_help(click.Context(group, info_name=path, terminal_width=80))
    assert [line for line in shown.splitlines() if line.startswith(" ") and line.endswith("...")] == []


@pytest.mark.parametrize(("path", "command"), ALL, ids=[path for path, _ in ALL])
def test_every_option_has_a_help_text(path: str, command: click.Command) -> None:
    silent = [each.name for each in command.params if isinstance(each, click.Option) and not each.help]
    assert silent == []
