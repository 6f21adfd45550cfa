"""Help pages and logs."""

from __future__ import annotations

import subprocess

import click
from dstream_sandbox.cli import sandbox as group

from tests.integration.sandbox.commands import Commands
from tests.running import BIN, Sandbox


def _pages(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    pages = [path]
    for name, command in group.commands.items():
        pages += _pages(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return pages


def test_every_help_page_ends_with_an_example_of_its_own_command() -> None:
    for page in _pages(group):
        command: click.Command = group
        for name in page:
            assert isinstance(command, click.Group)
            command = command.commands[name]
        with click.Context(command, info_name=" ".join(("dstream sandbox", *page))) as context:
            *_, last = command.get_help(context).splitlines()
        assert last.startswith("  "), page
        assert " ".join(("dstream sandbox", *page)) in last, page


def test_help_needs_no_sandbox() -> None:
    done = subprocess.run(
        [BIN / "dstream", "sandbox", "fault", "add", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: dstream sandbox fault add ")


def test_logs_can_be_followed(own_sandbox: Sandbox) -> None:
    commands = Commands(own_sandbox.folder.path)
    assert "Use it" in commands("logs", "supervisor").stdout
    command = [BIN / "dstream", "sandbox", "logs", "supervisor", "--follow", "--data", own_sandbox.folder.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert "SQL Server" in process.stdout.readline()
            pid = own_sandbox.kill("servicebus")
            for line in process.stdout:
                if "servicebus is ready again" in line:
                    break
        finally:
            process.kill()
    assert commands.status["servicebus"]["pid"] not in (None, pid)
