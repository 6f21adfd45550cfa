"""Renders the templates of a file into a source that can be parsed as HCL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from dstream.config.hcl.source import Segment, SourceFile


def render(name: str, written: str, *, environ: Mapping[str, str], now: Callable[[], datetime]) -> SourceFile:
    if "{{" not in written:
        return SourceFile(name, written, written)
    from dstream.config.gotemplate import parse, sprig  # most files have no template
    from dstream.config.gotemplate.execute import Executor

    executor = Executor(sprig.functions(environ, now), sprig.TOLERANT)
    executor.run(parse.parse(written))
    output = executor.output
    segments = tuple(output.segments) or (Segment(0, 0, True),)
    return SourceFile(name, written, "".join(output.parts), segments, tuple(output.holes))
