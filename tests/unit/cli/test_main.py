"""A bug in a command is an error like any other, with the traceback as its details."""

from __future__ import annotations

import pytest

from dstream.cli import main
from dstream.cli.commands import version


def test_a_bug_is_an_error_with_a_code_and_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def buggy() -> None:
        raise KeyError("next")

    monkeypatch.setattr(version, "_installed", buggy)
    assert main._exit_code(["version"]) == 1
    shown = capsys.readouterr().err
    assert "[system.crashed]" in shown
    assert "KeyError: 'next'" in shown
    assert "in buggy" in shown
