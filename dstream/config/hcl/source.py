"""One file: its original text, the text rendered by the template layer, and the mapping between them."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from dstream.config.hcl.problem import Problem
from dstream.errors import ConfigError, SourceLocation

HOLE = re.compile(r"__dstream_hole_(\d+)__")
"""Replaces a template without a value in the rendered text; the grammar sees a word. The number is the index in
`SourceFile.holes`."""

_DISTURBING = re.compile(rf'["\\\n]|[$%]\{{|{HOLE.pattern}')


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of rendered text: copied from `origin`, or (not verbatim) the output of the template at `origin`."""

    start: int
    origin: int
    verbatim: bool
    is_read: bool = False
    """Whether it was computed from the environment."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A template without a value. It is an error only if the configuration uses it, never in a comment."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class SourceFile:
    """One file. `text` is what is parsed; offsets in this package are offsets in `text`."""

    name: str
    written: str
    text: str
    segments: tuple[Segment, ...] = (Segment(0, 0, True),)
    holes: tuple[Hole, ...] = ()

    def origin(self, offset: int) -> int:
        """Return the offset in the original file."""
        segment = self._segment(offset)
        return segment.origin + (offset - segment.start if segment.verbatim else 0)

    def read_within(self, start: int, end: int) -> tuple[str, ...]:
        """Return the texts between these offsets that templates have computed from the environment."""
        if not self._has_read:
            return ()
        found: list[str] = []
        for index in range(self._index(start), len(self.segments)):
            segment = self.segments[index]
            if segment.start >= end:
                break
            following = self.segments[index + 1].start if index + 1 < len(self.segments) else len(self.text)
            if segment.is_read and following > start:
                found.append(self.text[max(start, segment.start) : min(end, following)])
        return tuple(found)

    @cached_property
    def _has_read(self) -> bool:
        return any(segment.is_read for segment in self.segments)

    def place(self, offset: int, block: str = "") -> SourceLocation:
        return self.place_as_written(self.origin(offset), block)

    def place_as_written(self, offset: int, block: str = "") -> SourceLocation:
        offset = min(offset, len(self.written))
        line = bisect_right(self._line_starts, offset)
        start = self._line_starts[line - 1]
        end = self.written.find("\n", start)
        source_line = self.written[start : end if end >= 0 else None]
        return SourceLocation(self.name, line, offset - start + 1, source_line, block)

    def error(self, problem: Problem, block: str = "") -> ConfigError:
        """Return the problem as an error with its place, without rendered text, which may contain a secret."""
        template = self._disturbing_template(problem) if problem.code == "config.syntax" else None
        if template is None:
            place = self.place(problem.at, block)
            return ConfigError(problem.code, problem.message, place=place, hint=problem.hint)
        place = self.place(template, block)
        match = HOLE.match(self.text, template)
        if match:
            hole = self.holes[int(match[1])]
            return ConfigError(hole.code, hole.message, place=place, hint=hole.hint)
        hint = 'Use env("NAME") instead of a template: it accepts any value.'
        return ConfigError(problem.code, "the output of this template is not valid here", place=place, hint=hint)

    def _disturbing_template(self, problem: Problem) -> int | None:
        """Return the start of the template that explains a syntax error: the one at that place, or one on the line of
        an unclosed string whose output has special characters."""
        segment = self._segment(problem.at)
        if not segment.verbatim:
            return segment.start
        if problem.cause is None:
            return None
        line_start = self.text.rfind("\n", 0, problem.at) + 1
        for index in range(self._index(line_start), self._index(problem.cause) + 1):
            segment = self.segments[index]
            end = self.segments[index + 1].start if index + 1 < len(self.segments) else len(self.text)
            if not segment.verbatim and _DISTURBING.search(self.text, segment.start, end):
                return segment.start
        return None

    def _segment(self, offset: int) -> Segment:
        return self.segments[self._index(offset)]

    def _index(self, offset: int) -> int:
        return bisect_right(self.segments, offset, key=lambda segment: segment.start) - 1

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.written))]
