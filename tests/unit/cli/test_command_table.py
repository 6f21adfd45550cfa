"""Commands are imported only when used; listing them imports nothing."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from dstream.cli.command_table import COMMANDS, LazyCommands
from dstream.cli.main import cli

HEAVY = (
    *(
        "msgspec",
        "yaml",
        "prometheus_client",
        "pulumi",
        "grpc",
        "pyodbc",
        "azure",
        "sqlite3",
        "asyncio",
    ),
    *("dstream.config", "dstream.host", "dstream.infra", "dstream.kit", "dstream.plugins", "dstream.state"),
    *("dstream.redact", "importlib.metadata"),
)


@pytest.mark.parametrize("argument", ["version", "--help"])
def test_version_and_help_import_nothing_heavy(argument: str) -> None:
    program = (
        "import sys\n"
        "from dstream.cli.main import cli\n"
        f"cli.main([{argument!r}], standalone_mode=False)\n"
        f"print('heavy:', *[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy:"


def test_list_imports_neither_runs_nor_the_engine() -> None:
    program = (
        "import sys, dstream.cli.commands.list\n"
        "print(*[name for name in ('dstream.host.run', 'dstream.host.lifecycle', 'dstream.infra')"
        " if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_the_table_exists(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name


def test_unknown_commands_are_refused() -> None:
    with pytest.raises(click.UsageError, match="No such command 'tsak'"):
        cli.main(["tsak"], standalone_mode=False)


def test_help_lists_every_command_with_its_short_help() -> None:
    context = click.Context(cli)
    assert isinstance(cli, LazyCommands)
    text = cli.get_help(context)
    assert all(f"  {name} " in text for name in cli.list_commands(context))
    assert all(entry.short_help in text for entry in COMMANDS.values())


def test_a_command_of_a_missing_package_shows_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: [])

    with pytest.raises(
        click.UsageError, match=r"`dstream demo` needs the sandbox.* -r wheels/requirements-sandbox.txt"
    ):
        cli.main(["demo"], standalone_mode=False)
