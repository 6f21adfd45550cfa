"""python-hcl2's grammar, loaded on the first parse, since loading it takes most of the time of reading a
configuration."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lark import Token, Tree


def parse_tree(text: str) -> Tree[Token]:
    """Raises lark.exceptions.UnexpectedInput."""
    import hcl2

    _keep_cache_writable()
    tree: Tree[Token] = hcl2.parses_to_tree(text)
    return tree


@cache
def _keep_cache_writable() -> None:
    """hcl2 caches its parse tables next to its code. If only root can write there, every start would rebuild them. lark
    checks a digest of the grammar and versions before using the file, so a stale one does no harm."""
    import hcl2.parser

    beside_code = Path(hcl2.parser.PARSER_FILE)
    if beside_code.exists() or os.access(beside_code.parent, os.W_OK):
        return
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dstream"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # without a cache it is only slower
    hcl2.parser.PARSER_FILE = folder / "hcl2-grammar.bin"
