"""`dstream audit`: check the audit log."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dstream.audit import AuditEntry, check_chain, read_lines
from dstream.cli.options import Options, with_options
from dstream.cli.view.words import plural
from dstream.errors import DataError, SourceLocation
from dstream.shown import shown


@click.group(epilog="\b\nExample:\n  dstream audit verify audit.jsonl")
def audit() -> None:
    """Check the audit log of the commands that change infrastructure, checkpoints or dead letters."""


@audit.command(
    epilog="\b\nExamples:\n  dstream audit verify audit.jsonl\n  dstream audit verify audit.jsonl --contains HASH"
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--contains",
    "expected",
    default="",
    metavar="HASH",
    help="Fail unless an entry has this hash, which an earlier `verify` printed: nothing up to it was removed.",
)
@with_options
def verify(file: Path, expected: str, options: Options) -> None:
    """Check the hash chain of the audit log FILE.

    Fails if an entry was changed, removed or inserted, and names the first broken line.

    The chain alone cannot show that its last entries were removed, or that all of it was rewritten. Note the printed
    hash in another place, and check for it with --contains.
    """
    chain = check_chain(read_lines(file), expected=expected.strip().lower())
    if chain.broken_line:
        raise DataError(
            "audit.broken",
            f"the chain of the audit log breaks at line {chain.broken_line}: {chain.problem}",
            place=SourceLocation(str(file), chain.broken_line),
            hint="Keep the file as evidence, compare it with a backup, and start a new log.",
        )
    if not chain.has_expected:
        raise DataError(
            "audit.broken",
            f"no entry of {file} has the hash {expected}: entries up to it were removed or rewritten",
            hint="Check the hash, and whether the log was rotated: verify the older file then.",
        )
    if options.as_json:
        unfinished = [
            {"command": each.command, "tasks": each.tasks, "time": each.time, "change": each.change}
            for each in chain.unfinished
        ]
        document = {"schema_version": 1, "file": str(file), "entries": chain.entries, "hash": chain.head}
        click.echo(json.dumps({**document, "unfinished": unfinished, "incomplete_lines": chain.torn}))
        return
    if not chain.entries:
        click.echo(f"{file} has no entries.")
        return
    click.echo(f"{plural(chain.entries, 'line')}, unbroken; hash of the last one: {chain.head}")
    for each in chain.unfinished:
        click.echo(f"No result: {_described(each)}. It was killed, or is still running.")
    for number in chain.torn:
        click.echo(f"Line {number} is incomplete: writing it was interrupted. The chain includes it.")


def _described(entry: AuditEntry) -> str:
    command = " ".join(["dstream", entry.command, *entry.tasks])
    origin = f"{entry.origin.user}@{entry.origin.host} (pid {entry.origin.pid})"
    return shown(f"{command} by {origin} at {entry.time}")
