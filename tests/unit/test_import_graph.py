"""Who may import whom: docs/architecture.md as a table that the code is held to."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

FOUNDATION = {"dstream", "dstream.errors"}
ALLOWED = {
    # package: what of the workspace it may import, besides itself
    "dstream.protocol": FOUNDATION,
    "dstream.telemetry": FOUNDATION | {"dstream.host"},
    "dstream.sdk": FOUNDATION | {"dstream.protocol"},
    "dstream.infra": FOUNDATION | {"dstream.launcher", "dstream.protocol", "dstream.sdk"},
    "dstream.config": FOUNDATION | {"dstream.protocol"},
    "dstream.plugins": FOUNDATION,
    "dstream.state": FOUNDATION,
    "dstream.host": FOUNDATION | {"dstream.launcher", "dstream.protocol", "dstream.state", "dstream.redact"},
    "dstream.kit": FOUNDATION | {"dstream.protocol", "dstream.host"},
    "dstream.cli": FOUNDATION
    | {
        "dstream.config",
        "dstream.host",
        "dstream.infra",
        "dstream.kit",
        "dstream.plugins",
        "dstream.protocol",
        "dstream.redact",
        "dstream.state",
        "dstream.telemetry",
    },
    "dstream_stacks": set(),
    "dstream_mssql_cdc": {"dstream.sdk"},
    "dstream_servicebus": {"dstream.sdk", "dstream.infra", "dstream_stacks"},
    "dstream_sandbox": set(),
}
FOLDERS = {
    "dstream_stacks": ROOT / "stacks/dstream_stacks",
    "dstream_mssql_cdc": ROOT / "providers/mssql_cdc/dstream_mssql_cdc",
    "dstream_servicebus": ROOT / "providers/servicebus/dstream_servicebus",
    "dstream_sandbox": ROOT / "sandbox/dstream_sandbox",
}
LIGHT = ("azure", "pulumi", "pyodbc", "grpc", "rich", "click", "hcl2", "msgspec")
"""Not before a provider's first line."""


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_the_architecture_allows(package: str) -> None:
    folder = FOLDERS.get(package) or ROOT / package.replace(".", "/")
    files = list(folder.rglob("*.py"))
    assert files, f"{folder} is empty"
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in _workspace_imports(file)
        if not _within(name, {package}) and not _within(name, ALLOWED[package])
    ]
    assert wrong == []


@pytest.mark.parametrize("module", ["dstream.sdk", "dstream_mssql_cdc.__main__", "dstream_servicebus.__main__"])
def test_nothing_heavy_is_imported_before_a_providers_first_line(module: str) -> None:
    script = f"import sys, {module}; print(*(n for n in {LIGHT} if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.split() == []


def _workspace_imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            # `from dstream import errors` names a module, `from dstream.errors import X` a thing in one
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "dstream" else [node.module]
            )
        yield from (name for name in names if name.partition(".")[0] in ("dstream", *FOLDERS))


def _within(name: str, allowed: set[str]) -> bool:
    """`dstream` itself allows its attributes (the version), not its packages."""
    return any(name == each or (each != "dstream" and name.startswith(each + ".")) for each in allowed) or (
        "dstream" in allowed and name == "dstream.__version__"
    )
