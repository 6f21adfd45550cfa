"""The functions that read the environment, and the table of all functions except `try`, which the evaluator handles."""

from __future__ import annotations

import os
from datetime import UTC
from functools import partial
from pathlib import Path

from dstream.config.values.environment import Environment
from dstream.config.values.function_table import CallFailed, Function, Functions
from dstream.config.values.functions_of_values import FUNCTIONS_OF_VALUES
from dstream.config.values.key_vault_secret import KeyVaultSecret
from dstream.config.values.values import SecretText, Value


def functions(around: Environment) -> Functions:
    return {
        **FUNCTIONS_OF_VALUES,
        "abspath": Function(lambda path: str(_path(around, path)), ("text",)),
        "env": Function(partial(_env, around), ("text", "any"), optional=1),
        "file": Function(partial(_file, around), ("text",)),
        "fileexists": Function(lambda path: _path(around, path).is_file(), ("text",)),
        "secret": Function(partial(_secret, around), ("text",)),
        "timestamp": Function(lambda: around.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
    }


def _path(around: Environment, path: str) -> Path:
    return Path(os.path.normpath(around.folder.absolute() / Path(path).expanduser()))


def _env(around: Environment, name: str, *default: Value) -> Value:
    if name in around.environ:
        return around.environ[name]
    if default:
        return default[0]
    raise _unset(name)


def _unset(name: str, hint: str = "") -> CallFailed:
    hint = hint or f'Set it, or give a default: env("{name}", "x")'
    return CallFailed(f"the environment variable {name} is not set", 0, code="config.env_unset", hint=hint)


def _file(around: Environment, path: str) -> str:
    try:
        return _path(around, path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CallFailed(f"{path} is not valid UTF-8", 0, code="config.file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a valid path"
        raise CallFailed(f"cannot read {path}: {reason}", 0, code="config.file") from None


def _secret(around: Environment, reference: str) -> SecretText:
    scheme, _, rest = reference.partition(":")
    if scheme == "env" and rest:
        if rest not in around.environ:
            raise _unset(rest, "A secret has no default.")
        return SecretText.of(around.environ[rest])
    if scheme == "file" and rest:
        return SecretText.of(_file(around, rest.removeprefix("//")).rstrip("\r\n"))
    if scheme == "azurekeyvault":
        return SecretText.of(around.vaults.read(_in_vault(rest)))
    hint = 'Use secret("env:NAME"), secret("file:/path") or secret("azurekeyvault://VAULT/NAME").'
    raise CallFailed("not a valid secret reference", 0, hint=hint)


def _in_vault(rest: str) -> KeyVaultSecret:
    found = KeyVaultSecret.parse(rest[2:]) if rest.startswith("//") else None
    if found is None:
        hint = (
            "VAULT is the vault's name or full host name, e.g. azurekeyvault://retail/bus-key. Names have letters, "
            "digits and hyphens."
        )
        raise CallFailed("use the form azurekeyvault://VAULT/NAME or azurekeyvault://VAULT/NAME/VERSION", 0, hint=hint)
    return found
