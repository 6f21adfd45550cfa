"""Hostile text: what a terminal, a CI system or Markdown would obey, and secrets in any encoding."""

from __future__ import annotations

import base64
import contextlib
import html
import io
import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from dstream.cli.view.answer import Answer
from dstream.errors import DStreamError, SourceLocation, SystemFault
from dstream.host import LifecycleOutcome
from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import Diagnostic, Difference
from dstream.shown import on_stream

ATTACKS = (
    "\x1b]0;title\x07", "\x1b]52;c;ZWNobw==\x1b\\", "\x1b[2J", "\x1b[31m", "\x1b[8m", "\r\x1b[K", "\x9b31m", "\x9d0;t\x9c", "\x00", "\x08\x08", "\x7f",
    "\u202eevil\u202c", "\u2066x\u2069", "\u200b", "\ufeff", "\ud800", "\U000e0041",
    "\nFORGED", "\r\nFORGED", "\rFORGED", "\u2028FORGED", "\x85FORGED", "\x0bFORGED", "\x0cFORGED", "\x1cFORGED", "\n\nFORGED",
    "::error::x", "\n::error::x", "\n  ::add-mask::x", "##[error]x", "##vso[task.complete result=Failed]", "\n##VSO[task.x]",
    "@everyone", "#1", "www.evil.example", "http://evil.example", "mail@evil.example", "<script>", "<!--", "-->", "```", "`", "|", "[a](b)", "![a](b)",
    "\n- item", "\n1. item", "\n# heading", "</details>", "~~~", "$x$", "\\", '"', "'", "{", "}", "%s", "{{ x }}", "${x}", "=", " ", "  ", "\t", "é", "→", "plain",
)  # fmt: skip
FIELDS = ("time", "level", "event", "self", "task", "role", "provider", "message", "stream", "msg", "name")
SECRET = "Zq7+S/e&c<r=\"e't4Kx"


def _data(text: str) -> bytes:
    return text.encode()


ENCODINGS: tuple[Callable[[str], str], ...] = (
    str,
    lambda text: base64.b64encode(_data(text)).decode(),
    lambda text: base64.urlsafe_b64encode(_data(text)).decode().rstrip("="),
    lambda text: base64.b64encode(_data(f"user:{text}")).decode(),
    lambda text: base64.b64encode(_data(json.dumps({"p": text}))).decode(),
    lambda text: _data(text).hex(),
    lambda text: _data(text).hex().upper(),
    lambda text: _data(text).hex(" "),
    lambda text: quote(text, safe=""),
    lambda text: "".join(f"%{byte:02x}" for byte in _data(text)),
    lambda text: quote(quote(text, safe=""), safe=""),
    quote_plus,
    html.escape,
    lambda text: "".join(f"&#x{ord(char):x};" for char in text),
    lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
)
ENCODED = tuple(encode(SECRET) for encode in ENCODINGS)
_CI_COMMAND = re.compile(r"^\s*::|##(?:vso)?\[", re.MULTILINE | re.IGNORECASE)


class Terminal(io.StringIO):
    """What a command writes to a terminal, before its streams escape it."""

    def isatty(self) -> bool:
        return True


class Hostile:
    """Makes texts of one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.keeps_secrets = False
        """Whether texts may contain the secret, in any encoding."""

    def text(self) -> str:
        text = self.plain_text()
        if not self.keeps_secrets or self._random.random() < 0.5:
            return text
        return f"{text}{self._random.choice([' ', ': ', '; '])}{self._random.choice(ENCODED)} {self.plain_text()}"

    def plain_text(self) -> str:
        return "".join(self._random.choices(ATTACKS, k=self._random.randint(1, 4)))

    def line(self) -> str:
        """A text whose lines the views show as lines."""
        return f"a {' '.join(self.text().split())}"

    def value(self) -> Any:
        return self._random.choice([self.text(), [self.text()], {self.text(): self.text()}, 1, None, True])

    def fields(self) -> dict[str, Any]:
        return {self._random.choice([*FIELDS, self.text()]): self.value() for _ in range(3)}

    def resource(self, op: Any, phase: Any = "planned") -> ListedResource:
        diff = [Difference(self.text(), self.value(), self.value(), self.text(), self.text(), self.text())]
        diff.append(Difference(self.text(), self.value(), self.value()))
        return ListedResource(
            self.text(), self.text(), op, phase, diff, self.text(), 3, self.text(), self.text(), self.text()
        )

    def error(self) -> DStreamError:
        place = SourceLocation(self.text(), 1, 2, self.text(), self.text())
        return SystemFault("x.failed", self.text(), place=place, hint=self.line(), details=[self.text()])

    def answer(self, phase: Any) -> Answer:
        ops = ("create", "update", "replace", "delete", "same", "import")
        outcome = LifecycleOutcome(
            self.text(),
            [self.resource(op, phase) for op in self._random.sample(ops, 3)],
            {self.text(): self.text(), "more": {self.text(): [self.text()]}},
            figures=[{"label": self.text(), "name": self.text(), "text": self.text()}],
            where=self.text(),
            message=self.line(),
            diagnostics=[Diagnostic(self.text(), "warning", self.text())],
        )
        return Answer("orders", self.text(), outcome=outcome, error=self._random.choice([None, self.error()]))


def harmless(text: str) -> None:
    """Text for a terminal or a log, before the streams escape it again."""
    lines = text.replace("\r\x1b[K", "").split("\n")
    obeyed = [line for line in lines if not line.replace("\t", "").isprintable() or line.startswith("FORGED")]
    if obeyed or _CI_COMMAND.search(on_stream(text)):
        raise AssertionError(ascii(obeyed or on_stream(text)))


def hides_secrets(text: str) -> None:
    """Raise AssertionError if a text contains the secret in any encoding, also in strings with escapes."""
    for encoded in ENCODED:
        if any(form in text for form in (encoded, json.dumps(encoded)[1:-1], repr(encoded)[1:-1])):
            at = next(
                text.find(form) for form in (encoded, json.dumps(encoded)[1:-1], repr(encoded)[1:-1]) if form in text
            )
            raise AssertionError(f"{encoded} in {text[max(at - 200, 0) : at + 100]!a}")


@contextlib.contextmanager
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    with contextlib.redirect_stdout(terminal), contextlib.redirect_stderr(terminal):
        yield terminal
