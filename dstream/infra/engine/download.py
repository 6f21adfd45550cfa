"""Downloads the Pulumi CLI and provider plugins, and accepts only archives with a known SHA-256. Runs no script."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

from dstream.infra.engine.checksums import ENGINE_DIGESTS, listed_digest

Fetch = Callable[[str, Path], None]
"""Writes what a URL answers to a file. Raises OSError."""

_RELEASE = "https://github.com/pulumi/pulumi/releases/download/v{version}/"
"""Where Pulumi's own installer looks first (pulumi/get.pulumi.com)."""
_ARCHIVE = "pulumi-v{version}-{platform}.tar.gz"
PLUGINS = "https://get.pulumi.com/releases/plugins/"
"""Where the engine finds the plugins of Pulumi's registry (pulumi/sdk/go/common/workspace/plugins.go)."""
_PLUGIN = "pulumi-resource-{name}-v{version}-{system}-{machine}.tar.gz"
_PLUGIN_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_TIMEOUT_S = 60


class DownloadError(Exception):
    """The archive cannot be used; the text says why."""


def fetch(url: str, to: Path) -> None:
    """Download over HTTPS, through the proxy in HTTPS_PROXY if set. Raises OSError."""
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, to.open("wb") as file:
        shutil.copyfileobj(answer, file)


def download_engine(version: str, folder: Path, fetch: Fetch = fetch, digests: Path = ENGINE_DIGESTS) -> None:
    """Install the CLI in `folder`/bin; an incomplete `folder` is replaced. Raises DownloadError, OSError."""
    name = _ARCHIVE.format(version=version, platform=_platform())
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder.parent) as place:
        archive = Path(place, name)
        _download(_RELEASE.format(version=version), archive, digests, fetch)
        complete = Path(place, "complete")
        _unpack(archive, complete / "bin")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(complete, folder)


def download_plugin(name: str, version: str, folder: Path, digests: Path) -> Path:
    """Return the archive of a provider plugin, in `folder`. Raises DownloadError, OSError."""
    machine = platform.machine().lower()
    machine = _PLUGIN_MACHINES.get(machine, machine)
    archive = folder / _PLUGIN.format(name=name, version=version, system=sys.platform, machine=machine)
    _download(PLUGINS, archive, digests, fetch)
    return archive


def _download(server: str, archive: Path, digests: Path, fetch: Fetch) -> None:
    """Download what the server has under the archive's name."""
    expected = listed_digest(digests, archive.name)
    if expected is None:
        raise DownloadError(f"{digests} has no SHA-256 of {archive.name}")
    fetch(server + archive.name, archive)
    with archive.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != expected:
        raise DownloadError(f"{archive.name} has the SHA-256 {actual} instead of {expected}")


def _platform() -> str:
    machine = _MACHINES.get(platform.machine().lower())
    if sys.platform not in ("linux", "darwin") or machine is None:
        raise DownloadError(f"Pulumi has no release for {sys.platform} on {platform.machine()}")
    return f"{sys.platform}-{machine}"


def _unpack(archive: Path, to: Path) -> None:
    """Extract the programs `pulumi/NAME`, and nothing else."""
    to.mkdir(parents=True)
    with tarfile.open(archive, "r:gz") as content:
        for member in content:
            folder, _, name = member.name.removeprefix("./").partition("/")
            if member.isfile() and folder == "pulumi" and name and "/" not in name and name != "..":
                file = content.extractfile(member)
                assert file is not None  # a regular file
                with file, (to / name).open("wb") as written:
                    shutil.copyfileobj(file, written)
                (to / name).chmod(0o755)
    if not (to / "pulumi").is_file():
        raise DownloadError("the archive contains no pulumi")
