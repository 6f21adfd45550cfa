"""One file: its text as written, as rendered by the template layer, and the way back from the second to the first."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from dstream.config.problem import Problem
from dstream.errors import ConfigError, Place


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of rendered text: copied from `origin` on, or (not verbatim) put there by the template at `origin`."""

    start: int
    origin: int
    verbatim: bool


@dataclass(frozen=True, slots=True)
class Hole:
    """A template that gave no value. It counts only where the configuration asks for it: never in a comment."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Source:
    """`text` is what is parsed. Offsets everywhere in this package are offsets in `text`."""

    name: str
    written: str
    text: str
    segments: tuple[Segment, ...] = (Segment(0, 0, True),)
    holes: tuple[Hole, ...] = ()

    def origin(self, offset: int) -> int:
        """The offset in the file as written."""
        segment = self._segment(offset)
        return segment.origin + (offset - segment.start if segment.verbatim else 0)

    def is_rendered(self, offset: int) -> bool:
        """Whether a template put the text at `offset` there."""
        return not self._segment(offset).verbatim

    def place(self, offset: int, block: str = "") -> Place:
        return self.place_as_written(self.origin(offset), block)

    def place_as_written(self, offset: int, block: str = "") -> Place:
        offset = min(offset, len(self.written))
        line = bisect_right(self._line_starts, offset)
        start = self._line_starts[line - 1]
        end = self.written.find("\n", start)
        source_line = self.written[start : end if end >= 0 else None]
        return Place(self.name, line, offset - start + 1, source_line, block)

    def error(self, problem: Problem, block: str = "") -> ConfigError:
        """The problem with its place; never with rendered text, which may hold a secret."""
        at, hint = problem.at, problem.hint
        if problem.cause is not None and self.is_rendered(problem.cause):
            at = problem.cause
        if problem.code == "config.syntax" and self.is_rendered(at):
            message = "what this template renders does not fit here"
            hint = 'env("NAME") instead of a template takes any value as it is.'
            return ConfigError(problem.code, message, place=self.place(at, block), hint=hint)
        return ConfigError(problem.code, problem.message, place=self.place(at, block), hint=hint)

    def _segment(self, offset: int) -> Segment:
        return self.segments[bisect_right(self.segments, offset, key=lambda segment: segment.start) - 1]

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(i + 1 for i, char in enumerate(self.written) if char == "\n")]
