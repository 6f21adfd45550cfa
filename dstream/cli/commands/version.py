"""`dstream version`."""

from __future__ import annotations

import json
import platform
from importlib import metadata

import click

import dstream
from dstream.cli.options import Options, with_options
from dstream.protocol import PROTOCOL_VERSION

_PARTS = ("dstream-mssql-cdc", "dstream-servicebus", "dstream-sandbox")


@click.command(epilog="\b\nExample:\n  dstream version --json")
@with_options
def version(options: Options) -> None:
    """Show the versions of DStream and of its installed parts."""
    parts = {"dstream": dstream.__version__, **_installed()}
    if options.as_json:
        document = {"schema_version": 1, "protocol": PROTOCOL_VERSION, "python": platform.python_version(), **parts}
        click.echo(json.dumps(document))
        return
    for name, number in parts.items():
        click.echo(f"{name:<20} {number}")
    click.echo(f"{'provider protocol':<20} {PROTOCOL_VERSION}")
    click.echo(f"{'python':<20} {platform.python_version()}")


def _installed() -> dict[str, str]:
    found = {}
    for name in _PARTS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
