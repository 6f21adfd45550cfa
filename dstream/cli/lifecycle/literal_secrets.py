"""Finds secrets that are written out in a configuration file, before the file becomes part of a deployment. Pure.

Stricter rules that mask settings by their names alone (`dstream.redact.source_line`) would also refuse connection
strings without a password, and the kinds of credentials.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from dstream.redact import Redactor, is_secret_name

_ASSIGNMENT = re.compile(r"""(?<![\w.-])"?([A-Za-z_][\w-]*)"?\s*[=:]\s*"((?:[^"\\]|\\.)+)\"""")
_INTERPOLATION = re.compile(r"\$\{[^}]*\}")
_EXPRESSION = re.compile(r"=\s*(?:(?:var|local|task)\.|[a-z_0-9]+\()\S*|= [a-z_][a-z0-9_]*\s*$")
"""A value that is not written out: `var.password`, `env("PASSWORD")`, or the name of a local."""
_PLAIN = ("connection", "connection_string", "credential", "secrets_provider")
"""How names end whose values are secret only in part, or not at all."""
_REFERENCE = "azurekeyvault://"
_SHORTEST = 8
"""Shorter values of sensitive variables are often ordinary words."""


def literal_secrets(text: str, known: Collection[str] = ()) -> Iterator[int]:
    """Yield the numbers of the lines with a secret. `known`: secrets that the configuration evaluates to."""
    redactor = Redactor(secret for secret in known if len(secret) >= _SHORTEST)
    for number, line in enumerate(text.splitlines(), 1):
        written = _EXPRESSION.sub("= ", _INTERPOLATION.sub("", line))
        if redactor.text(written) != written or any(map(_is_secret, _ASSIGNMENT.findall(line))):
            yield number


def _is_secret(assignment: tuple[str, str]) -> bool:
    name, value = assignment
    if value.startswith(_REFERENCE) or "${" in value or name.lower().endswith(_PLAIN):
        return False
    return is_secret_name(name)
