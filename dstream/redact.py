"""Removes secrets from everything that is shown: replaces them with `***`, by value and by their formats.

Values come from settings marked as secret, from settings whose names suggest a secret, and from the secret parts of any
config string: password, SharedAccessKey, apikey and the like, and what follows Bearer or Basic (protocol rule 15). They
are found verbatim, escaped (URL, JSON, XML, SQL), in base64 and in hexadecimal, also several times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

from dstream.canonical import canonical, has_escapes, needle, packed
from dstream.errors import DStreamError
from dstream.secret_formats import MASK as MASK
from dstream.secret_formats import secret_parts, without_known_formats
from dstream.unpacked import unpacked

_CERTAIN_WORDS = frozenset(
    {"password", "passwords", "passwd", "passphrase", "pwd", "secret", "secrets", "token", "tokens"}
    | {"credential", "credentials", "authorization", "bearer", "apikey", "apikeys"}
)
_SECRET_WORDS = _CERTAIN_WORDS | {"connection", "key", "auth", "cookie"}
_COMPOUND = re.compile(
    r"((?:password|passphrase|secret|token|credential)s?|(?:api|access|account|secret|private|auth|signing)keys?)$"
    r"|connectionstring$"
)
"""The end of a name that is written as one word, such as `accesskey`."""
_PLAIN_AUTH = frozenset(
    {"type", "mode", "method", "methods", "scheme", "mechanism", "flow", "provider", "rule", "rules"}
    | {"url", "uri", "endpoint", "host", "server", "database", "source"}
)
"""`auth_mode = "basic"` and `authorization_rules` are not secret."""
_SCHEMES = frozenset({"none", "basic", "bearer", "digest", "negotiate", "ntlm", "kerberos", "oauth", "oauth2", "sasl"})
"""Values of `auth` that name a scheme; redacting them would garble messages."""
_PLAIN_KEYS = frozenset({"partition", "message", "session", "primary", "foreign", "sort", "routing", "order", "row"})
"""`partition_key = "CustomerId"` is not a secret; redacting its value would garble every message."""
_REFERENCE = "azurekeyvault://"
"""`output_secret = "azurekeyvault://VAULT/NAME"` names a secret."""
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

_HEAD = re.compile(r"""(?<![\w.-])(?P<quote>"?)(?P<name>[A-Za-z_][\w-]*)(?P=quote)\s*[=:](?!=)\s*""")
_OPENING = ("(", "[", "{")
_WRITTEN_OUT = re.compile(r"""["<\[{]|[a-z_0-9]+\(""")
_FETCHES = re.compile(r"\b(?:env|file|secret)\(\s*$")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')
_TOKEN = re.compile(rf"{_HEAD.pattern}|(?P<text>{_QUOTED.pattern})|(?P<bracket>[][(){{}}])")
"""Where a line is split: at setting names, strings and brackets."""

_SHORTEST = 4
"""Shorter secrets are redacted only as whole values: they would match everywhere."""

_SHORTEST_READ = 8
"""What `env()` has read is often an ordinary word, such as `prod`, that must not be masked everywhere."""

_SHORTEST_STORED = 8
"""A log position contains many short runs of digits that may equal a short secret."""

_IN_ENVIRONMENT = (
    *("PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "ARM_CLIENT_SECRET", "ARM_OIDC_TOKEN", "AZURE_CLIENT_SECRET"),
    *("AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CONNECTION_STRING"),
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_CREDENTIALS"),
)
"""Variables that the Pulumi engine, its backends and azure-native read."""

_HEADERS = tuple(f"OTEL_EXPORTER_OTLP_{signal}HEADERS" for signal in ("", "TRACES_", "METRICS_", "LOGS_"))
"""What an OTLP exporter sends with each request, such as an API key."""

_MOST_PACKED = 2
"""How often base64 and hexadecimal inside each other are unpacked, after the first time."""
_LARGE_STORED = 16 * 1024
_DEEPEST = 64

ErrorT = TypeVar("ErrorT", bound=DStreamError)


def environment_secrets(environ: Mapping[str, str]) -> set[str]:
    """Return the credentials in the environment of the Pulumi engine and of exports to a collector; shorter ones would
    match everywhere."""
    values = [environ.get(name, "") for name in _IN_ENVIRONMENT]
    values += [part for name in _HEADERS for part in _header_values(environ.get(name, ""))]
    return {value for value in values if len(value) >= _SHORTEST_STORED}


def _header_values(headers: str) -> Iterator[str]:
    """Yield the values of `name=value,name=value` (OpenTelemetry, "OTLP exporter": as in W3C Baggage), also decoded and
    without a scheme such as `Bearer`. What has another form is a value as a whole."""
    for header in headers.split(","):
        value = header.partition("=")[2].strip() or header.strip()
        yield from (value, unquote(value), unquote(value).rpartition(" ")[2])


class _Texts:
    """Texts to mask. Looking for each is several times as fast as one regular expression, which only masks."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._longest_first = sorted({text for text in texts if text}, key=len, reverse=True)
        self._any: re.Pattern[str] | None = None

    @property
    def shortest(self) -> int:
        """The length of the shortest text; 0 if there is none."""
        return len(self._longest_first[-1]) if self._longest_first else 0

    def mask(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._are_in(text) else text

    def mask_escaped(self, text: str) -> str:
        """Mask them in a text whose escapes may hide them."""
        bare = canonical(text)
        if not self._are_in(bare.text):
            return text
        parts, at = [], 0
        for found in self._pattern.finditer(bare.text):
            parts += [text[at : bare.starts[found.start()]], MASK]
            at = bare.starts[found.end()]
        return "".join([*parts, text[at:]])

    def _are_in(self, text: str) -> bool:
        for each in self._longest_first:  # noqa: SIM110  # any() takes twice as long
            if each in text:
                return True
        return False

    @property
    def _pattern(self) -> re.Pattern[str]:
        if self._any is None:
            self._any = re.compile("|".join(map(re.escape, self._longest_first)))
        return self._any


class Redactor:
    """Redacts the secrets of a task and its configs."""

    def __init__(self, secrets: Iterable[str] = (), configs: Iterable[Mapping[str, Any]] = ()) -> None:
        self._known: set[str] = set()
        self._short: set[str] = set()
        self._read: set[str] = set()
        self._identifiers: set[str] = set()
        self._hidden_names: set[str] = set()
        self._certain: frozenset[bytes] = frozenset()
        self._certain_bare: frozenset[str] = frozenset()
        self._values = self._escaped = _Texts(())
        self._has_quotes = False
        for config in configs:
            by_name = _found_in(config, "", is_secret_name)
            self._known |= {form for value in by_name for form in _forms(value) if len(form) >= _SHORTEST}
            self._learn_certain(_found_in(config, "", _is_certain_name))
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Also redact these secrets from now on. Call it from one thread; others may redact concurrently."""
        secrets = {secret for secret in secrets if secret}
        self._learn_certain(secrets)
        self._short |= {secret for secret in secrets if len(secret) < _SHORTEST}
        self._known |= {form for secret in secrets - self._short for form in _forms(secret)}
        self._look()

    def learn_read(self, texts: Iterable[str], names: Iterable[str], identifiers: Iterable[str]) -> None:
        """Also hide what `env()` or `file()` has read, as `learn`. Unlike a secret, it may be stored.

        Texts inside `identifiers` and short ones are shown. In `difference`, the values of settings with these `names`
        are hidden, whatever they are.
        """
        self._read |= {text for text in texts if len(text) >= _SHORTEST_READ}
        self._identifiers |= set(identifiers)
        self._hidden_names |= {_as_one_word(name) for name in names}
        self._look()

    def _look(self) -> None:
        """Look for everything known from now on."""
        hidden = {text for text in self._read if not any(text in each for each in self._identifiers)}
        forms = self._known | {form for text in hidden for form in _forms(text)}
        self._values = _Texts(forms)
        self._escaped = _Texts(map(_without_escapes, forms))
        self._has_quotes = any(sign in form for sign in "'\"}" for form in forms)

    def _learn_certain(self, secrets: Iterable[str]) -> None:
        for secret in secrets:
            forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], *packed(secret)}
            self._certain |= {form.encode(errors="surrogatepass") for form in forms if len(form) >= _SHORTEST_STORED}
            if len(bare := _without_escapes(secret)) >= _SHORTEST_STORED:
                self._certain_bare |= {bare}

    def text(self, text: str) -> str:
        """Return the text with every secret replaced; one of fewer than 4 characters only if it is the whole text."""
        if text in self._short:
            return MASK
        return without_known_formats(self._packed(self._plain(text), _MOST_PACKED))

    def _plain(self, text: str) -> str:
        """Mask what is written in the text itself."""
        if has_escapes(text, doubled=self._has_quotes):
            text = self._escaped.mask_escaped(text)
        return self._values.mask(text)

    def _packed(self, text: str, depth: int) -> str:
        """Mask base64 and hexadecimal with a secret in it, which may be escaped or packed there again."""
        if not self._values.shortest:
            return text
        found = list(unpacked(text, self._values.shortest))
        if has_escapes(text, doubled=False):
            bare = canonical(text)
            inside = unpacked(bare.text, self._values.shortest)
            found += [each._replace(start=bare.starts[each.start], end=bare.starts[each.end]) for each in inside]
        parts, at = [], 0
        for start, end, inner in sorted(found):
            if start < at or (self._plain(inner) == inner and (not depth or self._packed(inner, depth - 1) == inner)):
                continue
            parts += [text[at:start], MASK]
            at = end
        return "".join([*parts, text[at:]])

    def is_in(self, stored: bytes) -> bool:
        """Return whether data to be stored contains a secret, which cannot be masked without breaking the data.

        Considers only certain secrets: marked ones, parts of connection strings, and values of settings such as
        `password`. A `key` may be the name of a column. In large data, escapes other than JSON's are not considered.
        """
        if any(secret in stored for secret in self._certain):
            return True
        if len(stored) > _LARGE_STORED or not self._certain_bare:
            return False
        bare = canonical(stored.decode("utf-8", "surrogateescape")).text
        return any(secret in bare for secret in self._certain_bare)

    def value(self, value: Any, name: str = "", depth: int = 0) -> Any:
        """Redact a JSON value; strings in fields with secret names are replaced entirely. Nesting deeper than 64 levels
        is cut off."""
        if depth > _DEEPEST:
            return "..."
        if isinstance(value, str):
            is_masked = value and is_secret_name(name) and not value.startswith(_REFERENCE)
            return MASK if is_masked else self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item, str(key), depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item, name, depth + 1) for item in value]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return MASK if is_number and (str(value) in self._known or str(value) in self._short) else value

    def difference(self, value: Any, path: str) -> Any:
        """Redact a value that a plan shows for a property, such as `sku.capacity`."""
        is_hidden = _as_one_word(path.rpartition(".")[2]) in self._hidden_names
        return MASK if is_hidden and value is not None else self.value(value, path)

    def error(self, error: ErrorT) -> ErrorT:
        """Redact the error in place, with those that it is made of, and return it."""
        for part in error.errors:
            if part is not error:
                self.error(part)
        error.message = self.text(error.message)
        error.hint = self.text(error.hint)
        error.details = tuple(self.text(line) for line in error.details)
        if error.place is not None:
            error.place = error.place._replace(source_line=self.text(error.place.source_line))
        error.args = (error.message,)
        return error


def source_line(text: str) -> str:
    """Return a line of a configuration file with literal secrets masked. An expression that fetches the value
    (`password = env("X")`) is kept, since it does not contain the secret."""
    redactor = Redactor()
    runs = groupby((piece.shown() for piece in _pieces(text)), key=itemgetter(0))
    joined = ((is_fit, "".join(part for _, part in run)) for is_fit, run in runs)
    return "".join(part if is_fit else redactor.text(part) for is_fit, part in joined)


class _Piece(NamedTuple):
    """Part of a line: a secret setting with its value, or the text between two of them."""

    text: str
    is_secret: bool

    def shown(self) -> tuple[bool, str]:
        """Return whether it needs no further redaction, and its text with quoted strings masked."""
        head = _HEAD.match(self.text) if self.is_secret else None
        if head is None:
            return False, self.text
        value = _QUOTED.sub(_mask_quoted, self.text[head.end() :])
        return bool(_WRITTEN_OUT.match(value)), head[0] + value


def _pieces(line: str) -> Iterator[_Piece]:
    """Split the line where a secret setting starts and where its value ends. A setting inside a secret one
    (`tokens = { a = "x" }`) is secret too."""
    start = depth = 0
    secret_depth: int | None = None
    for token in _TOKEN.finditer(line):
        was_secret, is_inside = secret_depth is not None, secret_depth is not None and depth > secret_depth
        if token["name"] and not is_inside:
            secret_depth = depth if is_secret_name(token["name"]) else None
        elif token["bracket"] in _OPENING:
            depth += 1
        elif token["bracket"]:
            depth -= 1
            secret_depth = None if secret_depth is not None and depth < secret_depth else secret_depth
        if was_secret != (secret_depth is not None) or (token["name"] and not is_inside):
            yield _Piece(line[start : token.start()], was_secret)
            start = token.start()
    yield _Piece(line[start:], secret_depth is not None)


def _mask_quoted(quoted: re.Match[str]) -> str:
    """Mask a string, except the argument of `env("X")` and the address of a secret, which are names."""
    is_name = quoted[0].startswith(f'"{_REFERENCE}') or _FETCHES.search(quoted.string, 0, quoted.start())
    return quoted[0] if is_name else f'"{MASK}"'


def is_secret_name(name: str) -> bool:
    """Return whether a field's name indicates a secret value. `connection` alone does not: it can be `"stack"`. The
    secret parts of connection strings are found in any field."""
    words = _words(name)
    found = words & _SECRET_WORDS
    if words == {"connection"} or (found == {"key"} and words & _PLAIN_KEYS):
        return False
    if found and found <= {"auth", "authorization"} and words & _PLAIN_AUTH:
        return False
    return bool(found) or any(map(_COMPOUND.search, words))


def _found_in(value: Any, name: str, tells: Callable[[str], bool]) -> Iterator[str]:
    """Yield the secret parts of connection strings, and strings in fields with secret names."""
    if isinstance(value, str):
        if tells(name) and value.lower() not in _SCHEMES and not value.startswith(_REFERENCE):
            yield value
        yield from secret_parts(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _found_in(item, str(key), tells)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _found_in(item, name, tells)


def _as_one_word(name: str) -> str:
    """Return a name as one word: `max_size` and `maxSize` name the same property."""
    return "".join(filter(str.isalnum, name)).lower()


def _is_certain_name(name: str) -> bool:
    return is_secret_name(name) and any(word in _CERTAIN_WORDS or _COMPOUND.search(word) for word in _words(name))


def _words(name: str) -> set[str]:
    return {word.lower() for word in _WORDS.findall(name)}


def _forms(secret: str) -> Iterator[str]:
    """Yield the forms in which a secret may appear, except for escapes: verbatim, in base64 and hexadecimal, and the
    lines of a multi-line secret."""
    for form in {secret, unquote(secret)}:
        yield form
        if len(form) >= _SHORTEST:
            yield from packed(form)
    lines = secret.splitlines()
    if len(lines) > 1:
        yield from (line.strip() for line in lines if len(line.strip()) >= 2 * _SHORTEST)


def _without_escapes(form: str) -> str:
    """Return what to look for in a text without escapes; empty if nothing recognizable remains, as of `%20+`."""
    bare = needle(form)
    return bare if bare == form or len(bare.strip()) >= _SHORTEST else ""
