"""`dstream provider list|show|test|new`: find, inspect, test and scaffold providers; and its other commands."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from dstream.cli.commands import provider_registry
from dstream.cli.commands.provider_report import (
    list_document,
    list_lines,
    reference_document,
    reference_lines,
    report_document,
    report_line,
    result_lines,
)
from dstream.cli.completing import provider_names
from dstream.cli.options import Options, with_options
from dstream.cli.pulling import PullProgress
from dstream.config.schema.reference import settings_of
from dstream.errors import ConfigError, exit_code
from dstream.host import ProviderSpec
from dstream.host.provider.describe import Introduction, introduce
from dstream.host.provider.introductions import Introductions
from dstream.kit import check_provider
from dstream.kit.scaffold import Kind, scaffold
from dstream.plugins import from_reference, installed, resolve
from dstream.protocol.messages import Role
from dstream.registry import is_reference
from dstream.shown import shown

_ANSWER_S = 30.0


@click.group(epilog="\b\nExample:\n  dstream provider list\n  dstream provider test ./my-provider")
def provider() -> None:
    """List, inspect, test, scaffold, install and publish providers."""


for _command in (provider_registry.install, provider_registry.lock, provider_registry.push):
    provider.add_command(_command)


@provider.command(
    epilog="\b\nExample:\n  dstream provider test ./my-provider --config config.json\n"
    "  dstream provider test counter --json\n"
    "  dstream provider test ./my-output --config config.json --lifecycle"
)
@click.argument("provider", metavar="PROVIDER|PATH|REF", shell_complete=provider_names)
@click.option("--role", type=click.Choice(["input", "transform", "output"]), help="Required role (default: any).")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON file with the config to test with (default: {}).",
)
@click.option(
    "--lifecycle",
    is_flag=True,
    help="Also test init, plan, status and destroy: creates and deletes the configured infrastructure.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.option("--no-color", is_flag=True, help="Disable colored output.")
def test(
    provider: str, role: Role | None, config_file: Path | None, lifecycle: bool, as_json: bool, no_color: bool
) -> int:
    """Check an executable against the protocol.

    Starts it, stops it, kills it, and verifies how it behaves. Exits with 0 if every check passes, otherwise with 1.
    Test an input with a source of a few hundred rows; checks without enough data are skipped. Creates and deletes
    infrastructure only with --lifecycle, and only if none of it exists.
    """
    options = _options(as_json=as_json, no_color=no_color)
    argv, config = _argv(provider), _config(config_file)

    def show(text: str) -> None:
        if not options.as_json:
            click.echo(text, color=options.color(sys.stdout))

    show(f"{provider}\n")
    report = check_provider(
        argv, config, role=role, lifecycle=lifecycle, on_result=lambda result: show(result_lines(result))
    )
    show(f"\n{report_line(report)}")
    if not lifecycle and report.hello is not None and "infrastructure" in report.hello.capabilities:
        show("Lifecycle commands were not tested; use --lifecycle to create and delete the configured infrastructure.")
    if options.as_json:
        click.echo(json.dumps(report_document(provider, report)))
    return exit_code("done" if report.passed else "failed")


@provider.command(epilog="\b\nExample:\n  dstream provider new tides --kind input")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(get_args(Kind)),
    required=True,
    help="What to scaffold; infrastructure: an output that manages its infrastructure.",
)
def new(name: str, kind: Kind) -> None:
    """Scaffold a provider project in the folder NAME.

    It passes `dstream provider test`.
    """
    options = _options()
    folder = scaffold(options.chdir or Path(), name, kind)
    script = next(folder.glob("dstream_*.py"))
    task = f"{script.stem.removeprefix('dstream_')} -c {folder / 'dstream.hcl'}"
    make = f"Create it: dstream init {task}\n" if kind == "infrastructure" else ""
    click.echo(
        f"{folder}: {shown(', '.join(sorted(file.name for file in folder.iterdir())))}\n\n"
        f"Try it:    dstream provider test {script}\n"
        f"{make}"
        f"Run it:    dstream run {task}\n"
        f"Change it: {script}"
    )


@provider.command("list", epilog="\b\nExample:\n  dstream provider list")
@with_options
def list_providers(options: Options) -> None:
    """List the providers that `provider = "..."` can use. Each is started briefly to identify itself."""
    every = installed(os.environ)
    with Introductions(None, describe=False) as introductions:
        asked = [introductions.ask(ProviderSpec(each.argv, {}, each.name), None, timeout_s=_ANSWER_S) for each in every]
        found = [(each, _introduction(answer)) for each, answer in zip(every, asked, strict=True)]
    click.echo(json.dumps(list_document(found)) if options.as_json else list_lines(found))


@provider.command(
    epilog="\b\nExamples:\n  dstream provider show servicebus\n  dstream provider show ghcr.io/org/tides:v1"
)
@click.argument("provider", metavar="PROVIDER|PATH|REF", shell_complete=provider_names)
@with_options
def show(options: Options, provider: str) -> None:
    """Show the settings of a provider.

    Shows their types, defaults and descriptions, and which are secret.
    """
    spec = ProviderSpec(_argv(provider), {}, provider)
    found = introduce(spec, None, cwd=None, timeout_s=_ANSWER_S, describe=True)
    if found.hello is None or found.description is None:
        raise ConfigError(
            "provider.not_described",
            f'"{provider}" does not describe its settings',
            hint="The provider needs the describe capability; see docs/guides/write-a-provider.md.",
        )
    settings = settings_of(found.description.config_schema)
    if options.as_json:
        document = reference_document(found.hello, found.description.summary, found.description.config_schema, settings)
        click.echo(json.dumps(document))
        return
    docs = found.description.docs or found.description.summary
    text = reference_lines(found.hello, docs, settings)
    click.echo(text, color=options.color(sys.stdout))


def _options(**more: bool) -> Options:
    """Return the options given before the command's name, for commands that accept only some of them."""
    given = click.get_current_context().find_object(Options) or Options()
    return Options(**more).over(given)  # type: ignore[arg-type]  # only flags are passed


def _argv(provider: str) -> list[str]:
    """Resolve a path that exists, a reference, what looks like a path, or a name."""
    path = Path(provider)
    if is_reference(provider) and not path.exists():
        return from_reference(provider, Path().absolute(), os.environ, on_pull=PullProgress(sys.stderr))
    if path.name != provider or path.suffix or path.exists():
        return resolve(None, provider, Path().absolute(), os.environ)
    return resolve(provider, None, Path().absolute(), os.environ)


def _config(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        config = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{file} is not valid JSON: {error}", param_hint="--config") from error
    if not isinstance(config, dict):
        raise click.BadParameter(f"{file} must contain a JSON object", param_hint="--config")
    return config


def _introduction(answer: Callable[[], Introduction]) -> Introduction | None:
    try:
        return answer()
    except ConfigError:
        return None
