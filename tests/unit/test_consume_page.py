"""docs/guides/consume.md shows the programs in examples/consumers: `python -m tests.unit.test_consume_page` copies them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guides" / "consume.md"
PROGRAM = re.compile(r"<!-- (examples/consumers/(\w+)/\S+) -->\n.*?<!-- end -->\n", re.DOTALL)


def with_programs(page: str) -> str:
    def program(match: re.Match[str]) -> str:
        text = (ROOT / match[1]).read_text(encoding="utf-8")
        return f"<!-- {match[1]} -->\n```{match[2]}\n{text}```\n<!-- end -->\n"

    return PROGRAM.sub(program, page)


def test_the_page_shows_the_programs_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert with_programs(page) == page, "run python -m tests.unit.test_consume_page"


def test_the_page_shows_a_program_in_every_language() -> None:
    shown = {language for _, language in PROGRAM.findall(PAGE.read_text(encoding="utf-8"))}

    assert shown == {each.name for each in (ROOT / "examples" / "consumers").iterdir()}


if __name__ == "__main__":
    PAGE.write_text(with_programs(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
