"""The table of entity settings in docs/reference/providers/servicebus.md: `python -m dstream_servicebus.settings_table
PAGE`.

The command replaces the table between the two markers in the page; a test checks that the page is up to date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from dstream_stacks.display import shown, summary
from dstream_stacks.properties import PROPERTIES, EntityProperty

BEGIN = "<!-- entity settings: python -m dstream_servicebus.settings_table docs/reference/providers/servicebus.md -->\n"
END = "<!-- end of entity settings -->\n"


def with_table(page: str) -> str:
    """The page with the current table. Raises ValueError if a marker is missing."""
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError("the page must contain both markers of the entity settings exactly once")
    return re.sub(
        f"{re.escape(BEGIN)}.*{re.escape(END)}",
        lambda _: f"{BEGIN}{settings_table()}{END}",
        page,
        flags=re.DOTALL,
    )


def settings_table() -> str:
    """One row per setting, as Markdown."""
    rows = [f"| {' | '.join(_cells(each))} |\n" for each in PROPERTIES]
    return "| setting | on | default | meaning |\n|---|---|---|---|\n" + "".join(rows)


def _cells(each: EntityProperty) -> tuple[str, str, str, str]:
    kinds = ", ".join(f"{kind}s" for kind in each.on)
    default = each.shown_default or shown(each.form, each.defaults[0])
    replaced = " Changing it replaces the entity." if each.replaces else ""
    return f"`{each.name}`", kinds, default, f"{summary(each)}.{replaced}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
