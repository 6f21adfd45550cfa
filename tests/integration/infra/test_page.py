"""The example in docs/guides/infrastructure.md, copied as a reader would, run by `dstream`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tests.warm import run_dstream

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "guides" / "infrastructure.md"
HCL = """
task "mail" {
  input {
    provider = "counter"
    config {
      interval = "1ms"
      count    = 3
    }
  }
  output {
    provider_path = "./mailboxes"
    config {
      folder    = "boxes"
      mailboxes = { orders = "LABEL" }
    }
  }
}
"""


def test_the_example_creates_fills_protects_and_deletes_its_mailbox(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "mailboxes").write_text(f"#!{sys.executable}\n{code}")
    (tmp_path / "mailboxes").chmod(0o755)

    def dstream(*arguments: str, label: str = "Orders") -> tuple[int, str]:
        (tmp_path / "dstream.hcl").write_text(HCL.replace("LABEL", label))
        done = run_dstream(arguments, tmp_path, os.environ, timeout_s=120.0)
        return done.returncode, done.stdout + done.stderr

    code, shown = dstream("plan", "mail", "--detailed-exitcode")
    assert code == 2, shown
    assert "1 to create" in shown
    assert dstream("init", "mail", "--yes")[0] == 0
    assert dstream("run", "mail")[0] == 0
    assert len(list((tmp_path / "boxes" / "orders").glob("*.json"))) == 3

    code, shown = dstream("plan", "mail", label="All orders")
    assert "Orders → All orders" in shown
    code, shown = dstream("destroy", "mail", "--yes")
    assert code == 5, shown
    assert "3 messages" in shown
    assert dstream("destroy", "mail", "--yes", "--allow-data-loss")[0] == 0
    assert list((tmp_path / "boxes").iterdir()) == []
