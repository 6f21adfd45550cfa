"""The commands of `dstream`, imported on first use, so that `--help` and `version` stay fast.

The short help is written here so that listing the commands imports none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import click


class Entry(NamedTuple):
    """`target`: module:attribute, imported on first use."""

    target: str
    short_help: str


COMMANDS = {
    "audit": Entry("dstream.cli.commands.audit:audit", "Check the audit log."),
    "completion": Entry("dstream.cli.completion:completion", "Print a shell completion script."),
    "deadletter": Entry(
        "dstream.cli.commands.deadletter:deadletter", "List, show, replay or purge rows that were not delivered."
    ),
    "deploy": Entry("dstream.cli.lifecycle.deploy:deploy", "Deploy tasks to Azure Container Apps."),
    "destroy": Entry("dstream.cli.lifecycle.commands:destroy", "Delete the infrastructure of tasks."),
    "doctor": Entry("dstream.cli.commands.doctor:doctor", "Check that everything the tasks need is installed."),
    "init": Entry("dstream.cli.lifecycle.commands:init", "Create or update the infrastructure of tasks."),
    "list": Entry("dstream.cli.commands.list:list_tasks", "List tasks with their providers and last checkpoint."),
    "plan": Entry("dstream.cli.lifecycle.commands:plan", "Preview infrastructure changes."),
    "provider": Entry(
        "dstream.cli.commands.provider:provider", "List, inspect, test, scaffold, install and publish providers."
    ),
    "run": Entry("dstream.cli.commands.run:run", "Stream rows from input to output until stopped."),
    "snapshot": Entry("dstream.cli.commands.snapshot:snapshot", "Read all rows of a running task's tables."),
    "state": Entry("dstream.cli.commands.state:state", "Show, import, roll back, move or delete a checkpoint."),
    "status": Entry("dstream.cli.lifecycle.commands:status", "Show drift and the last checkpoint."),
    "unlock": Entry("dstream.cli.commands.unlock:unlock", "Release an abandoned stack lock."),
    "validate": Entry("dstream.cli.commands.validate:validate", "Check the configuration and report every error."),
    "version": Entry("dstream.cli.commands.version:version", "Show the versions of DStream and its installed parts."),
}

PLUGINS = {
    "demo": "Run the end-to-end demo in the sandbox.",
    "sandbox": "Manage the local SQL Server and Service Bus.",
}
"""Commands of the optional package dstream-sandbox, with their short help."""


class LazyCommands(click.Group):
    """A group that imports a command, or its package's entry point, when it is used."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*COMMANDS, *PLUGINS})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in COMMANDS:
            module, _, attribute = COMMANDS[name].target.partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        return _plugin(name) if name in PLUGINS else None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        short_help = {name: entry.short_help for name, entry in COMMANDS.items()} | PLUGINS
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help[name]) for name in self.list_commands(context)])


def _plugin(name: str) -> click.Command:
    from importlib import metadata

    for entry in metadata.entry_points(group="dstream.commands", name=name):
        command: click.Command = entry.load()
        return command

    def explain() -> None:
        raise click.UsageError(
            f"`dstream {name}` needs the sandbox. Install it from DStream's wheels: "
            "pip install --require-hashes -r wheels/requirements-sandbox.txt"
        )

    return click.Command(name, callback=explain, help=PLUGINS[name])
