from __future__ import annotations

from pathlib import Path

import pytest

from dstream.cli.lifecycle import request
from tests.unit.cli.lifecycle.plan_bench import TASK, Bench, FakeProvider


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    provider = FakeProvider()
    monkeypatch.setattr(request, "run_lifecycle", provider.run)
    (tmp_path / "dstream.hcl").write_text(TASK)
    return Bench(tmp_path, provider, capsys)
