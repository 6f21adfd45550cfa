"""The example in docs/guides/attached-resources.md, copied as a reader would, run by the engine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import automation as auto

from dstream.infra.engine.attachments import served
from tests.integration.key_ring import SECRETS_PROVIDER, key_ring

ENGINE = Path.home() / ".dstream/pulumi/v3.259.0"
_PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "guides" / "attached-resources.md"


@pytest.fixture(autouse=True)
def _event_loop() -> Iterator[None]:
    """Set the thread's event loop, which Pulumi programs need, and close it afterwards."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def test_the_example_creates_repairs_and_deletes_its_note(tmp_path: Path) -> None:
    page = _code_of_the_page()
    notes = tmp_path / "notes"
    notes.mkdir()
    note = notes / "hello"
    with served(page["attached"](notes), parallel=None) as ports:
        stack = _stack(tmp_path, page["program"], ports["notes"])
        assert stack.preview().change_summary[auto.OpType.CREATE] == 2  # including the stack itself
        assert not note.exists()
        stack.up()
        assert note.read_text() == "Hello, world"
        assert (note.stat().st_mode & 0o777) == 0o600

        note.write_text("Somebody else's text")
        assert stack.preview(refresh=True).change_summary[auto.OpType.UPDATE] == 1
        stack.up(refresh=True)
        assert note.read_text() == "Hello, world"
        stack.destroy()
    assert not note.exists()


def _code_of_the_page() -> dict[str, Any]:
    code = "\n".join(re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL))
    names: dict[str, Any] = {"pulumi": pulumi}
    exec(compile(code, str(_PAGE), "exec"), names)
    return names


def _stack(folder: Path, program: Any, port: int) -> auto.Stack:
    return auto.create_stack(
        "test",
        "notes",
        program,
        opts=auto.LocalWorkspaceOptions(
            work_dir=str(folder),
            pulumi_command=auto.PulumiCommand(str(ENGINE)),
            secrets_provider=SECRETS_PROVIDER,
            env_vars={
                "PULUMI_HOME": str(folder / "home"),
                "PULUMI_BACKEND_URL": f"file://{folder}",
                **key_ring(),
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "PULUMI_DEBUG_PROVIDERS": f"notes:{port}",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            },
        ),
    )
