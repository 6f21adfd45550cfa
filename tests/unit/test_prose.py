"""Phrases that a native engineer would not write are not reintroduced; CONTRIBUTING.md has the rules."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PHRASES = (
    r"a killed `?\w+`? is gone on with",
    r"\bso many resources at once\b",
    r"\bwait so long for\b",
    r"\basks nobody\b",
    r"do exactly what this plan says",
    r"replace and delete also what",
    r"\bleast level shown\b",
    r"how log lines look",
    r"\bgo there first\b",
    r"where there is no terminal to ask",
    r"end at the first failure, also",
    r"up to the source's end as it is",
    r"\btells drift\b",
    r"\b(?:is|are|was|were|be|been) taken over (?!by\b)",
    r"is no plan of",
    r"refused without leave",
    r"\bworth to\b",
    r"\bis forgotten\b",
    r"\bis cut short\b",
    r"\b(?:make|made|making|begin|begins|start|starts) (?:it |the \w+ )?anew\b",
    r"what it is to do\b",
    r"what is like the lines before",
    r"\bheal it\b",
    r"\bheal the drift\b",
    r"\btears all down\b",
    r"name the tasks to run",
    r"all tasks of the file that have any",
    r"may be given again",
    r"what this machine has of what",
    r"all that was looked at is there",
    r"rows behind it come again",
    r"hold any executable to the protocol",
    r"\bthere is no (?:block|attribute|task|variable) \"",
    r"this can't be the name of",
    r"\" is no duration\b",
    r"is no utf-8 text",
    r"configuration moved since",
    r"this is not what the plan showed",
    r"it was made by somebody else",
    r"nobody gets more than he",
    r"\bcan't be had\b",
    r"\bwhere nothing is to do\b",
    r"\bdstream\[",  # `dstream` on the public index is an unrelated project
)
"""Regular expressions, matched against text in lower case with single spaces."""
FILES = [
    name
    for name in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    if name.endswith((".py", ".md", ".hcl", ".yml", ".template", ".toml")) and name != "tests/unit/test_prose.py"
]


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_is_not_used(phrase: str) -> None:
    pattern = re.compile(phrase)
    found = [f"{name}: {match[0]}" for name, text in texts().items() for match in pattern.finditer(text)]
    assert found == []


@cache
def texts() -> Mapping[str, str]:
    return {name: " ".join((ROOT / name).read_text(encoding="utf-8").lower().split()) for name in FILES}
