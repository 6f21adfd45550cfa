"""Finds the login of a registry where Docker keeps it.

Sources: docker/cli, cli/config/configfile/file.go and cli/config/credentials; docker/docker-credential-helpers,
README.md ("Development"): a helper gets the server on stdin and answers with JSON; the user name `<token>` marks an
identity token. `az acr login` and `docker login` to Azure store such tokens.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dstream.errors import AuthError

_DOCKER_HUB = "https://index.docker.io/v1/"
_HELPER = re.compile(r"[A-Za-z0-9._-]+")
_HELPER_S = 30.0
_IS_TOKEN = "<token>"


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """A user name and password, or an identity token, which a registry's token server exchanges."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


def login_of(registry: str, environ: Mapping[str, str]) -> RegistryLogin | None:
    """Return the login of a registry; None if there is none, as for public providers.

    Raises AuthError `registry.login_unreadable` if a file or a credential helper cannot be read.
    """
    server = _DOCKER_HUB if registry == "docker.io" else registry
    for path in _files(environ):
        config = _read(path)
        if config is None:
            continue
        helper = _text(_object(config, "credHelpers"), server) or _text(config, "credsStore")
        found = _from_helper(helper, server) if helper else None
        found = found or _from_entry(_object(_object(config, "auths"), server), path)
        if found is not None:
            return found
    return None


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Docker's file, then the one that the original DStream passes to `oras`."""
    home = Path(environ.get("HOME") or Path.home())
    yield Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    yield home / ".oras-config"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(f"cannot read {path}: {error.strerror}") from error
    except ValueError:
        raise _unreadable(f"{path} is not valid JSON") from None  # its text may contain a password
    return found if isinstance(found, dict) else {}


def _from_entry(entry: Mapping[str, Any], path: Path) -> RegistryLogin | None:
    if token := _text(entry, "identitytoken"):
        return RegistryLogin(identity_token=token)
    encoded = _text(entry, "auth")
    if not encoded:
        return None
    try:
        username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise _unreadable(f"{path} contains a login that is not valid Base64") from None
    return RegistryLogin(username, password)


def _from_helper(name: str, server: str) -> RegistryLogin | None:
    program = f"docker-credential-{name}"
    if not _HELPER.fullmatch(name):
        raise _unreadable(f'invalid credential helper "{name}"')
    try:
        done = subprocess.run([program, "get"], input=server.encode(), capture_output=True, timeout=_HELPER_S)
    except OSError as error:
        raise _unreadable(f"cannot start {program}: {os.strerror(error.errno or 0)}") from error
    except subprocess.TimeoutExpired:
        raise _unreadable(f"{program} did not answer within {_HELPER_S:g} s") from None
    if done.returncode != 0:
        return None  # as Docker does: no login for this server
    try:
        answer = json.loads(done.stdout)
        username, secret = answer["Username"], answer["Secret"]
    except (ValueError, TypeError, KeyError):
        raise _unreadable(f"{program} did not answer with a login") from None
    return RegistryLogin(identity_token=secret) if username == _IS_TOKEN else RegistryLogin(username, secret)


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def _text(parent: Mapping[str, Any], name: str) -> str:
    found = parent.get(name)
    return found if isinstance(found, str) else ""


def _unreadable(message: str) -> AuthError:
    return AuthError("registry.login_unreadable", message, hint="Fix the file, or sign in again with docker login.")
