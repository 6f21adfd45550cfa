"""Shows the pull of a provider."""

from __future__ import annotations

import shutil
from typing import TextIO

from dstream.plugins import Pull, built_in_hint
from dstream.shown import shown


class PullProgress:
    """Call it with each step of a pull. A terminal shows a line that is redrawn in place.

    Logs and pipes get only events and results, so nothing is shown there; with `everywhere`, one line at the end.
    """

    def __init__(self, stream: TextIO, *, everywhere: bool = False) -> None:
        self._stream = stream
        self._in_place = stream.isatty()
        self._everywhere = everywhere

    def __call__(self, pull: Pull) -> None:
        if not self._in_place and not (self._everywhere and pull.is_done):
            return
        size = f"{pull.received / 1e6:,.1f} MB"
        text = shown(f"{'Pulled' if pull.is_done else 'Pulling'} {pull.reference} for {pull.platform}: {size}")
        if self._in_place:
            text = f"\r\x1b[K{text[: shutil.get_terminal_size().columns - 1]}"
        if pull.is_done:
            hint = built_in_hint(pull.reference)
            text += f"\n{hint}\n" if hint else "\n"
        self._stream.write(text)
        self._stream.flush()
