"""All output goes through the streams that escape it: nothing writes to a file descriptor, a saved stream or a buffer."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "dstream/streams.py",  # the streams themselves
    "dstream/sdk/_channel.py",  # a provider's protocol stream; the host escapes what it shows of it
    "dstream/sdk/_host.py",  # the same stream
    "dstream/sdk/_serve.py",  # a provider without a host
    "dstream/sdk/_telemetry.py",  # a provider without a host
}


def bypasses(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what writes past `sys.stdout` and `sys.stderr`, or prints."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="sys"), attr="__stdout__" | "__stderr__"):
                yield node
            case ast.Attribute(
                value=ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr"),
                attr="buffer" | "fileno" | "detach" | "reconfigure",
            ):
                yield node
            case ast.Call(func=ast.Name(id="print")):
                yield node
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="os"), attr="write" | "fdopen" | "dup" | "dup2"),
                args=[ast.Constant(value=1 | 2), *_],
            ):
                yield node
            case ast.Call(
                func=ast.Name(id="open"), args=[ast.Constant(value=1 | 2 | "/dev/stdout" | "/dev/stderr"), *_]
            ):
                yield node
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr")]):
                yield node


def test_nothing_writes_past_the_streams_that_escape() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        for path in sorted((ROOT / "dstream").rglob("*.py"))
        if str(path.relative_to(ROOT)) not in ALLOWED and "examples" not in path.parts
        for node in bypasses(ast.parse(path.read_text("utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "print('x')",
        "sys.__stdout__.write('x')",
        "sys.stderr.buffer.write(b'x')",
        "os.write(1, b'x')",
        "os.fdopen(2, 'w')",
        "open(1, 'w')",
        "sys.stdout = stream",
        "os.dup(sys.stdout.fileno())",
    ],
)
def test_each_way_past_the_streams_is_recognized(code: str) -> None:
    assert list(bypasses(ast.parse(code)))


def test_writing_to_the_streams_is_allowed() -> None:
    assert not list(bypasses(ast.parse("sys.stdout.write(text)\nclick.echo(text)\nos.write(descriptor, data)")))
