"""Loads configurations from text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dstream.config import Project, load

NOW = datetime(2026, 3, 4, 15, 6, 7, tzinfo=UTC)

Load = Callable[..., Project]
Evaluate = Callable[..., Any]


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """`load_text(hcl, environ={...}, variables={...})` loads the text from a file named dstream.hcl."""

    def load_it(text: str, *, environ: Mapping[str, str] | None = None, **more: Any) -> Project:
        path = tmp_path / "dstream.hcl"
        path.write_text(text, encoding="utf-8")
        return load(path, environ=environ or {}, now=lambda: NOW, **more)

    return load_it


@pytest.fixture
def evaluate(load_text: Load) -> Evaluate:
    """`evaluate(expression, locals, environ={...})` returns the value of an expression as a provider would get it."""

    def evaluate_it(expression: str, local_values: str = "", **more: Any) -> Any:
        project = load_text(
            f"""
            locals {{
              {local_values}
            }}
            task "t" {{
              input {{
                provider = "p"
                config {{
                  value = {expression}
                }}
              }}
              output {{
                provider = "q"
              }}
            }}
            """,
            **more,
        )
        return project.tasks["t"].input.config.get("value")

    return evaluate_it
