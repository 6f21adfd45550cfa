"""The functions of paths, files, the environment and secrets, and the table of all functions except `try` and `can`,
which the evaluator handles."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from functools import partial
from pathlib import Path

from dstream.config.hcl.parse import parse_template
from dstream.config.hcl.problem import Problem, did_you_mean
from dstream.config.hcl.refusal import refusal
from dstream.config.values.environment import Environment, FileRead
from dstream.config.values.evaluate import Evaluator, FailedOutside
from dstream.config.values.file_text import file_text
from dstream.config.values.function_table import CallFailed, Function, Functions
from dstream.config.values.functions_of_collections import FUNCTIONS_OF_COLLECTIONS
from dstream.config.values.functions_of_dates import FUNCTIONS_OF_DATES, rfc3339
from dstream.config.values.functions_of_encodings import FUNCTIONS_OF_ENCODINGS
from dstream.config.values.functions_of_numbers import FUNCTIONS_OF_NUMBERS
from dstream.config.values.functions_of_text import FUNCTIONS_OF_TEXT
from dstream.config.values.functions_of_types import FUNCTIONS_OF_TYPES
from dstream.config.values.sensitive import SensitiveMark, revealed
from dstream.config.values.values import Value, concealed, derived, read_from_outside
from dstream.key_vault.secret import KeyVaultSecret

FUNCTIONS_OF_VALUES: Functions = {
    **FUNCTIONS_OF_COLLECTIONS,
    **FUNCTIONS_OF_DATES,
    **FUNCTIONS_OF_ENCODINGS,
    **FUNCTIONS_OF_NUMBERS,
    **FUNCTIONS_OF_TEXT,
    **FUNCTIONS_OF_TYPES,
}
"""The functions that depend only on their arguments."""
_READING = frozenset({"env", "file", "fileexists", "pathexpand", "secret", "templatefile"})
"""The functions that read this machine, or a key vault with its credentials."""
_VAULT = "azurekeyvault"
_VARIABLE = re.compile(r"[^\W\d][\w-]*")


def functions(around: Environment) -> Functions:
    """Return all functions."""
    in_templates = _functions(around)
    render = partial(_templatefile, around, in_templates)
    table = {**in_templates, "templatefile": Function(render, ("text", "object"))}
    return {name: _refused(name) if around.is_untrusted and name in _READING else each for name, each in table.items()}


def _refused(name: str) -> Function:
    def refuse(*_: Value) -> Value:
        raise refusal(f"{name}()")

    return Function(refuse, rest="any")


def _functions(around: Environment) -> dict[str, Function]:
    return {
        **FUNCTIONS_OF_VALUES,
        "abspath": Function(lambda path: str(_path(around, path)), ("text",)),
        "basename": Function(_basename, ("text",)),
        "dirname": Function(lambda path: os.path.normpath(os.path.dirname(path) or "."), ("text",)),
        "env": Function(partial(_env, around), ("text", "any"), optional=1),
        "file": Function(lambda path: read_from_outside(_file(around, path, "file")), ("text",)),
        "fileexists": Function(partial(_file_exists, around), ("text",)),
        "pathexpand": Function(lambda path: os.path.expanduser(path) if path[:2] in ("~", "~/") else path, ("text",)),
        "secret": Function(partial(_secret, around), ("text",), asks_vault=_is_in_vault),
        "timestamp": Function(lambda: rfc3339(around.now().astimezone(UTC))),
    }


def _path(around: Environment, path: str) -> Path:
    return Path(os.path.normpath(around.folder.absolute() / Path(path).expanduser()))


def _basename(path: str) -> str:
    """Return the last part, without trailing slashes; "." for an empty path."""
    return os.path.basename(path.rstrip("/")) or ("/" if path else ".")


def _env(around: Environment, name: str, *default: Value) -> Value:
    if name in around.environ:
        return read_from_outside(around.environ[name])
    if default:
        return default[0]
    raise _unset(name)


def _unset(name: str, hint: str = "") -> CallFailed:
    hint = hint or f'Set it, or give a default: env("{name}", "x")'
    return CallFailed(f"the environment variable {name} is not set", 0, code="config.env_unset", hint=hint)


def _file_exists(around: Environment, path: str) -> bool:
    found = _path(around, path)
    if exists := found.is_file():
        around.files_read.add(FileRead(found, "fileexists"))
    return exists


def _file(around: Environment, path: str, function: str) -> str:
    try:
        text = file_text(found := _path(around, path))
    except UnicodeDecodeError:
        raise CallFailed(f"{path} is not valid UTF-8", 0, code="config.file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a valid path"
        raise CallFailed(f"cannot read {path}: {reason}", 0, code="config.file") from None
    around.files_read.add(FileRead(found, function))
    return text


class _TemplateVariables:
    """The only names in a template file."""

    def __init__(self, variables: Mapping[str, Value]) -> None:
        self._variables = variables

    def resolve(self, name: str, at: int) -> Value:
        if name not in self._variables:
            hint = did_you_mean(name, self._variables) or "Pass it in the second argument of templatefile()."
            raise Problem("config.undefined", f'unknown variable "{name}"', at, hint)
        return self._variables[name]


def _templatefile(around: Environment, table: Functions, path: str, variables: dict[str, Value]) -> Value:
    """Render a file as a template, in which the variables are the only names. Templates cannot call templatefile()."""
    wrong = next((name for name in variables if not _VARIABLE.fullmatch(name)), None)
    if wrong is not None:
        raise CallFailed(f'"{wrong}" cannot be the name of a variable', 1)
    text = _file(around, path, "templatefile")
    mark = SensitiveMark(read=frozenset({text}))
    try:
        return derived(Evaluator(_TemplateVariables(variables), table).evaluate(parse_template(text)), mark)
    except Problem as problem:
        line = text.count("\n", 0, problem.at) + 1
        code = problem.code if problem.code in ("config.env_unset", "config.file") else "config.call"
        raise CallFailed(f"{path}, line {line}: {problem.message}", 0, code=code, hint=problem.hint) from None
    except RecursionError:
        raise CallFailed(f"{path} is nested too deeply", 0) from None
    except FailedOutside as failed:
        raise failed.error from None


def _secret(around: Environment, reference: str) -> Value:
    scheme, _, rest = reference.partition(":")
    if scheme == "env" and rest:
        if rest not in around.environ:
            raise _unset(rest, "A secret has no default.")
        return concealed(around.environ[rest])
    if scheme == "file" and rest:
        return concealed(_file(around, rest.removeprefix("//"), "secret").rstrip("\r\n"))
    if scheme == _VAULT:
        return concealed(around.vaults.read(_in_vault(rest)))
    hint = 'Use secret("env:NAME"), secret("file:/path") or secret("azurekeyvault://VAULT/NAME").'
    raise CallFailed("not a valid secret reference", 0, hint=hint)


def _is_in_vault(arguments: Sequence[Value]) -> bool:
    return any(isinstance(each, str) and each.startswith(f"{_VAULT}:") for each in map(revealed, arguments))


def _in_vault(rest: str) -> KeyVaultSecret:
    found = KeyVaultSecret.parse(rest[2:]) if rest.startswith("//") else None
    if found is None:
        hint = (
            "VAULT is the vault's name or full host name, e.g. azurekeyvault://retail/bus-key. Names have letters, "
            "digits and hyphens."
        )
        raise CallFailed("use the form azurekeyvault://VAULT/NAME or azurekeyvault://VAULT/NAME/VERSION", 0, hint=hint)
    return found
