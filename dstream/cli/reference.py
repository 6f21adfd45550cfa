"""The reference of all commands as Markdown, from the commands themselves: `python -m dstream.cli.reference`.

docs/cli-reference.md is what it prints; a test holds the two together.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from dstream.cli.command_table import COMMANDS
from dstream.cli.main import cli
from dstream.cli.options import Options

_HEAD = """\
# Reference of commands

Made by `python -m dstream.cli.reference`; [cli.md](cli.md) explains. Every command also takes the options of `dstream`
itself. `dstream sandbox` and `dstream demo` come with the package dstream-sandbox and have a `--help` of their own.
"""


def reference() -> str:
    """All commands but those of optional packages, in alphabetical order."""
    context = click.Context(cli, info_name="dstream")
    sections = [_HEAD, *_section(cli, context, own_options=True)]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        sections += _of_command(command, click.Context(command, context, info_name=name))
    return "\n".join(sections)


def _of_command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield from _section(command, context, own_options=False)
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            inner = command.commands[name]
            yield from _of_command(inner, click.Context(inner, context, info_name=name))


def _section(command: click.Command, context: click.Context, *, own_options: bool) -> Iterator[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"## {context.command_path}\n"
    yield f"    {usage}\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    rows = [row for parameter in command.params if (row := _row(parameter, own_options=own_options))]
    if rows:
        yield "| option | meaning |\n|---|---|"
        yield "\n".join(rows) + "\n"
    if command.epilog:
        title, *examples = [line for line in command.epilog.splitlines() if line.strip("\b ")]
        yield f"{title}\n"
        yield "\n".join(f"    {line.strip()}" for line in examples) + "\n"


def _row(parameter: click.Parameter, *, own_options: bool) -> str:
    """Empty for what is no option, and for one that all commands have."""
    if not isinstance(parameter, click.Option) or (parameter.name in Options.__slots__ and not own_options):
        return ""
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    value = "" if parameter.is_flag else f" {_value(parameter)}"
    return f"| `{names}{value}` | {(parameter.help or '').replace('|', chr(92) + '|')} |"


def _value(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return ",".join(option.type.choices)
    return option.metavar or option.type.name.upper()


if __name__ == "__main__":
    click.echo(reference(), nl=False)
