"""python-hcl2's grammar, whose trees it turns into nodes. Only this file knows hcl2 and lark.

Loading the grammar takes longer than everything else that a short command does, so the nodes of each file are cached. A
skeleton (see `scan.py`) has no content of strings, so no secret gets into the cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from dstream import cache as cached_files

_FORMAT = 1
"""Increase it when `Node` or what fills it changes."""
_SUBFOLDER = "syntax"
_MOST_FILES = 64


class Node(msgspec.Struct, frozen=True, array_like=True):
    """A rule of the grammar with its children, or a token with its text. `start` and `end` are offsets."""

    rule: str
    """Empty for a token."""
    start: int
    end: int
    children: tuple[Node, ...] = ()
    text: str = ""


class UnexpectedText(Exception):
    """The grammar does not allow the text at the offset `at`; `expected` holds the names of the allowed tokens."""

    def __init__(self, at: int, expected: frozenset[str]) -> None:
        super().__init__(at)
        self.at = at
        self.expected = expected


class Trees:
    """The trees of one source: of its skeleton, and of those of the expressions in its strings."""

    def __init__(self, skeleton: str) -> None:
        """`skeleton`: of the whole source."""
        key = f"{_FORMAT} {_versions()} {skeleton}"
        self._file = f"{_SUBFOLDER}/{hashlib.sha256(key.encode()).hexdigest()}.json"
        self._cached = _decode(cached_files.read(self._file))
        self._used: dict[str, Node] = {}

    def tree(self, skeleton: str) -> Node:
        """Return the tree of a skeleton. Raises UnexpectedText."""
        found = self._used.get(skeleton) or self._cached.get(skeleton) or _parsed(skeleton)
        self._used[skeleton] = found
        return found

    def save(self) -> None:
        """Cache the trees for the next command, except very deep ones."""
        if self._used.keys() == self._cached.keys():
            return
        with contextlib.suppress(RecursionError):
            cached_files.write(self._file, msgspec.json.encode(self._used))
            cached_files.keep_newest(_SUBFOLDER, _MOST_FILES)


def _decode(data: bytes) -> dict[str, Node]:
    try:
        return msgspec.json.decode(data, type=dict[str, Node])
    except (msgspec.DecodeError, RecursionError):
        return {}


def _parsed(skeleton: str) -> Node:
    import hcl2
    from lark.exceptions import UnexpectedInput

    _keep_cache_writable()
    try:
        return _node(hcl2.parses_to_tree(skeleton))
    except UnexpectedInput as error:
        at = error.pos_in_stream if error.pos_in_stream is not None else len(skeleton)
        expected = getattr(error, "expected", None) or getattr(error, "allowed", None) or ()
        raise UnexpectedText(at, frozenset(expected)) from None


def _node(tree: Any) -> Node:
    """Convert lark's Tree or Token."""
    children = getattr(tree, "children", None)
    if children is None:
        return Node("", tree.start_pos or 0, tree.end_pos or 0, text=str(tree))
    meta = tree.meta  # without positions if the rule matched nothing
    start, end = getattr(meta, "start_pos", 0), getattr(meta, "end_pos", 0)
    return Node(str(tree.data), start, end, tuple(_node(child) for child in children))


@cache
def _versions() -> str:
    """What the trees depend on, read from the packages' files: `importlib.metadata` takes longer than the rest."""
    parts = []
    for package, file in (("hcl2", "hcl2.lark"), ("hcl2", "version.py"), ("lark", "__init__.py")):
        spec = find_spec(package)
        if spec and spec.origin:
            parts.append((Path(spec.origin).parent / file).read_text(encoding="utf-8"))
    return "\n".join(parts)


@cache
def _keep_cache_writable() -> None:
    """hcl2 caches its parse tables next to its code. If only root can write there, every start would rebuild them. lark
    checks a digest of the grammar and versions before using the file, so a stale one does no harm."""
    import hcl2.parser

    beside_code = Path(hcl2.parser.PARSER_FILE)
    if beside_code.exists() or os.access(beside_code.parent, os.W_OK):
        return
    with contextlib.suppress(OSError):  # without a cache it is only slower
        hcl2.parser.PARSER_FILE = cached_files.create_folder() / "hcl2-grammar.bin"
