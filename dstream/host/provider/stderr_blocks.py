"""Groups the lines of a provider's stderr into log events: a traceback is one event, not one per line. Pure.

A line that starts with a space or tab belongs to the line before it, as in stack traces of Java and Go. In a Python
traceback, so do the line with the exception, and the traceback of the exception that followed from it.
"""

from __future__ import annotations

_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_LONGEST = 64 * 1024


class StderrBlocks:
    """Add the lines in order; a block is complete when another one starts, or at `close`."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._size = 0
        self._is_in_traceback = False

    @property
    def is_open(self) -> bool:
        return bool(self._lines)

    def add(self, line: str) -> str:
        """Add a line that is not blank. Return the block that it completes, or ""."""
        complete = "" if self._belongs(line) else self.close()
        if line == _TRACEBACK:
            self._is_in_traceback = True
        elif not line[0].isspace():
            self._is_in_traceback = False
        self._lines.append(line)
        self._size += len(line)
        return complete

    def close(self) -> str:
        """Return the open block, or ""."""
        block = "\n".join(self._lines)
        self._lines, self._size, self._is_in_traceback = [], 0, False
        return block

    def _belongs(self, line: str) -> bool:
        if not self._lines or self._size + len(line) > _LONGEST:
            return False
        return line[0].isspace() or self._is_in_traceback or line in _CHAINED or self._lines[-1] in _CHAINED
