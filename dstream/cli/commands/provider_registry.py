"""`dstream provider install|lock|push`: providers in OCI registries."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from dstream.cli.options import Options, with_options
from dstream.cli.project import load_project
from dstream.cli.pulling import PullProgress
from dstream.cli.view.words import plural
from dstream.config import Project
from dstream.config.files import LOCK_FILE
from dstream.errors import ConfigError, SourceLocation
from dstream.plugins import (
    Pin,
    binary_of,
    built_in_hint,
    explained,
    pinned,
    read_lock,
    refuse_moved,
    this_platform,
    write_lock,
)
from dstream.plugins import install as install_binary
from dstream.registry import Reference, RegistryClient, file_to_push, parse_reference
from dstream.shown import shown

_UNREAD = ()
"""No config of any task is evaluated: references need no secrets."""


@dataclass(frozen=True, slots=True)
class _InstalledReference:
    ref: str
    platform: str
    digest: str
    path: str
    pulled: bool


@click.command(epilog="\b\nExamples:\n  dstream provider install\n  dstream provider install -c pipelines --json")
@with_options
def install(options: Options) -> None:
    """Pull the providers of the file, and lock those that are new.

    These are the providers that the file names with provider_ref. Pulls what the lock file says, whatever the tags
    point to now. References that it lacks are looked up in their registry and added. Commands such as `run` pull a
    missing provider, too, but do not change the lock file, and refuse a reference that it lacks.
    """
    project = _project(options)
    path = project.folder / LOCK_FILE
    locked = read_lock(path) or {}
    platform = this_platform()
    pins = dict(locked)
    done = []
    on_pull = PullProgress(sys.stderr, everywhere=not options.as_json)
    for reference, place in _references(project):
        with explained(str(reference), place):
            pin = pins.get(str(reference)) or pinned(reference, os.environ)
            pins[str(reference)] = pin
            digest = binary_of(reference, pin, platform)
            file, is_new = install_binary(reference, platform, digest, os.environ, on_pull=on_pull)
        done.append(_InstalledReference(str(reference), platform, digest, str(file), is_new))
    if pins != locked:
        write_lock(path, pins)
    if options.as_json:
        _show_json(path, done)
        return
    for each in done:
        click.echo(f"{each.ref}  {'installed' if each.pulled else 'already installed'}  {shown(each.path)}")
    click.echo(_nothing(project) if not done else f"{plural(len(done), 'provider')}, locked in {shown(str(path))}.")


@dataclass(frozen=True, slots=True)
class _LockedReference:
    ref: str
    status: str
    manifest: str
    platforms: dict[str, str]


@click.command(epilog="\b\nExamples:\n  dstream provider lock\n  dstream provider lock --upgrade")
@click.option("--upgrade", is_flag=True, help="Accept tags that have moved to other content.")
@with_options
def lock(options: Options, upgrade: bool) -> None:
    """Write the lock file, without installing anything.

    It says what each provider_ref of the file stands for, on every platform. Looks the tags up in their registries.
    Fails if a tag has moved since it was locked, unless you use --upgrade: in CI, this finds tags that somebody pushed
    again. Removes what the file no longer names.
    """
    project = _project(options)
    path = project.folder / LOCK_FILE
    locked = read_lock(path) or {}
    done = []
    for reference, place in _references(project):
        with explained(str(reference), place):
            done.append(_locked(reference, locked.get(str(reference)), upgrade))
    pins = {each.ref: Pin(each.manifest, each.platforms) for each in done}
    removed = sorted(locked.keys() - pins.keys())
    if pins != locked:
        write_lock(path, pins)
    if options.as_json:
        _show_json(path, done, removed=removed)
        return
    for each in done:
        click.echo(f"{each.ref}  {each.status}  {each.manifest}  {', '.join(sorted(each.platforms))}")
        if hint := built_in_hint(each.ref):
            click.echo(f"  {hint}")
    for ref in removed:
        click.echo(f"{shown(ref)}  removed")
    click.echo(_nothing(project) if not done else f"{plural(len(done), 'provider')}, locked in {shown(str(path))}.")


def _locked(reference: Reference, old: Pin | None, upgrade: bool) -> _LockedReference:
    new = pinned(reference, os.environ)
    if old is not None and not upgrade:
        refuse_moved(reference, old, new)
    status = "added" if old is None else "unchanged" if old == new else "upgraded"
    return _LockedReference(str(reference), status, new.manifest, dict(new.platforms))


@click.command(
    epilog="\b\nExamples:\n"
    "  dstream provider push ghcr.io/org/tides:v1 linux_amd64=bin/tides darwin_arm64=bin/tides-mac\n"
    "  dstream provider push ghcr.io/org/tides:v1 build/plugin.linux_amd64 build/provider.json"
)
@click.argument("reference", metavar="REF")
@click.argument("files", metavar="PLATFORM=FILE...", nargs=-1, required=True)
@click.option("--annotation", "annotations", multiple=True, metavar="KEY=VALUE", help="Annotate the artifact.")
@click.option("--force", is_flag=True, help="Overwrite a tag that has other content.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def push(reference: str, files: Sequence[str], annotations: Sequence[str], force: bool, as_json: bool) -> None:
    """Publish a provider in an OCI registry, as REF.

    Push one executable per platform, such as linux_amd64, linux_arm64 or darwin_arm64. Any executable works that needs
    nothing else on the machine. A file named plugin.PLATFORM, or provider.json, needs no PLATFORM=. The login is that
    of `docker login`.
    """
    target = parse_reference(reference)
    if not target.tag or target.digest:
        raise ConfigError("registry.bad_reference", f'"{reference}" is not a tag', hint="Push to REPOSITORY:TAG.")
    chosen = [file_to_push(each) for each in files]
    titles = [each.title for each in chosen]
    twice = next((title for title in titles if titles.count(title) > 1), None)
    if twice or not any(title.startswith("plugin.") for title in titles):
        raise click.UsageError(f"{twice} is given twice." if twice else "Specify at least one executable.")
    pairs = dict(_pair(each) for each in annotations)
    if sys.stderr.isatty():
        click.echo(f"Pushing {plural(len(chosen), 'file')} to {reference}", err=True)
    digest = RegistryClient(target, os.environ).push(chosen, pairs, overwrite=force)
    if as_json:
        listed = [{"title": each.title, "digest": each.digest, "size": each.size} for each in chosen]
        click.echo(json.dumps({"schema_version": 1, "ref": reference, "manifest": digest, "files": listed}))
        return
    for each in chosen:
        click.echo(f"{each.title}  {each.size:,} bytes  {each.digest}")
    click.echo(f"Pushed {reference}  {digest}")


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise click.BadParameter(f'"{text}" is not KEY=VALUE', param_hint="--annotation")
    return key, value


def _project(options: Options) -> Project:
    return load_project(options, only=_UNREAD, ask_vaults=False, defer_unset=True)


def _references(project: Project) -> list[tuple[Reference, SourceLocation]]:
    """Return each reference once, with its first place. Raises ConfigError."""
    found: dict[str, tuple[Reference, SourceLocation]] = {}
    for task in project.tasks.values():
        for block in task.providers:
            if block.provider_ref is not None:
                with explained(block.provider_ref, block.place):
                    reference = parse_reference(block.provider_ref)
                found.setdefault(str(reference), (reference, block.place))
    return list(found.values())


def _nothing(project: Project) -> str:
    return f"{shown(str(project.path))} names no provider with provider_ref."


def _show_json(path: Path, done: Sequence[_InstalledReference | _LockedReference], **more: Sequence[str]) -> None:
    document = {"schema_version": 1, "lock_file": str(path), "providers": [asdict(each) for each in done], **more}
    click.echo(json.dumps(document))
