"""`dstream version`."""

from __future__ import annotations

import json
import os
import platform
import sys

import click

import dstream
from dstream.cli.options import Options, with_options
from dstream.protocol import PROTOCOL_VERSION


@click.command(epilog="\b\nExample:\n  dstream version --json")
@with_options
def version(options: Options) -> None:
    """Show the versions of DStream and its installed parts."""
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
    """Distributions named dstream-*, but not this one, from the names of their .dist-info folders: importlib.metadata
    alone takes longer than the rest of the command."""
    found = {}
    for folder in reversed(sys.path):
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            part, _, number = name.removesuffix(".dist-info").partition("-")
            if name.endswith(".dist-info") and part.startswith("dstream_") and part != "dstream_cli":
                found[part.replace("_", "-")] = number
    return dict(sorted(found.items()))
