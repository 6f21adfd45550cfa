"""docs/reference/errors.md lists exactly the codes that are raised, with their kinds and exit codes."""

from __future__ import annotations

import re
from pathlib import Path

from dstream.errors import exit_code, of_kind
from tests.error_codes import raised

ROOT = Path(__file__).parent.parent.parent
_ROW = re.compile(r"\| `([a-z_]+\.[a-z_]+)` \| ([a-z, ]+) \| ([0-9, ]+) \|")


def documented() -> dict[str, tuple[set[str], set[int]]]:
    text = (ROOT / "docs" / "reference" / "errors.md").read_text()
    return {
        code: (set(kinds.split(", ")), {int(number) for number in numbers.split(", ")})
        for code, kinds, numbers in _ROW.findall(text)
    }


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    assert documented().keys() == raised(ROOT).keys()


def test_each_code_has_the_documented_kind_and_exit_code() -> None:
    for code, places in raised(ROOT).items():
        kinds = {kind for kind, _ in places}
        codes = {exit_code(of_kind(kind, code, "")) for kind in kinds}
        assert documented()[code] == (kinds, codes), code
