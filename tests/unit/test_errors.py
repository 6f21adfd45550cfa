"""The error tree, and the one place that determines exit codes."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dstream import errors
from dstream.errors import (
    ConfigError,
    ConfigErrors,
    DStreamError,
    Outcome,
    RefusedError,
    SourceLocation,
    TransientError,
    UnreachableError,
    exit_code,
)

ROOT = Path(__file__).parents[2]


def test_several_configuration_errors_are_one_error_of_the_tree() -> None:
    found = ConfigErrors([ConfigError("config.missing", "a"), ConfigError("config.type", "b")])
    assert isinstance(found, DStreamError)
    assert (found.kind, found.code, found.message, exit_code(found)) == (
        "config",
        "config.missing",
        "2 configuration errors",
        3,
    )


def test_a_transient_error_keeps_its_place_and_details() -> None:
    place = SourceLocation("dstream.hcl", 3)
    error = TransientError("x.y", "lost", retry_after_s=2.0, place=place, details=["line"])
    assert (error.place, error.details, error.retry_after_s) == (place, ("line",), 2.0)


def test_the_drawing_of_the_tree_is_accurate() -> None:
    drawn = re.findall(r"[├└]── (\w+) +(\w+) +exit (\d)", errors.__doc__ or "")
    classes = {cls.__name__: cls for cls in DStreamError.__subclasses__() if cls.__module__ == "dstream.errors"}
    assert {name for name, _, _ in drawn} == set(classes)
    for name, kind, code in drawn:
        cls = classes[name]
        error = ConfigErrors([ConfigError("a.b", "")]) if cls is ConfigErrors else cls("a.b", "")
        assert (error.kind, exit_code(error)) == (kind, int(code))


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("done", 0), ("failed", 1), ("declined", 1), ("changes", 2), ("usage", 3), ("missing", 3), ("interrupted", 1)],
)
def test_each_outcome_has_one_exit_code(outcome: Outcome, code: int) -> None:
    assert exit_code(outcome) == code


def test_a_signal_that_interrupts_work_determines_the_exit_code() -> None:
    assert exit_code("interrupted", signal=signal.SIGTERM) == 143
    assert exit_code("done", signal=signal.SIGTERM) == 0


def test_an_unreachable_error_exits_with_1_once_the_run_has_started() -> None:
    error = UnreachableError("a.b", "gone")
    assert (exit_code(error), exit_code(error, was_running=True)) == (6, 1)


def test_a_renamed_code_keeps_its_alias() -> None:
    assert RefusedError("plan.stale", "").aliases == ("infra.stale_plan",)
    assert RefusedError("plan.data_loss", "").aliases == ("infra.data_loss",)
    assert RefusedError("plan.foreign", "").aliases == ()


def numeric_exits() -> Iterator[str]:
    for file in (ROOT / "dstream/cli").rglob("*.py"):
        for line in file.read_text().splitlines():
            if re.search(r"(sys\.exit|exit_code =|return) ?\(?(128 \+|130\b)", line):
                yield f"{file.name}: {line.strip()}"


def test_the_command_line_does_not_compute_signal_exit_codes() -> None:
    assert list(numeric_exits()) == []
