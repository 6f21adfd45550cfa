"""Python's search for garbage cycles, for programs that import a lot and leave few cycles."""

from __future__ import annotations

import atexit
import gc


def collect_rarely() -> None:
    """Look for garbage less often, and not at exit: with the engine's SDK, that takes a third of a command's time.

    Memory stays bounded: a search starts after 50,000 new containers instead of 700, and few objects are in cycles.
    """
    gc.set_threshold(50_000, 20, 100)
    atexit.register(gc.freeze)  # the interpreter then finds nothing to search at exit
