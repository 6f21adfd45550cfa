"""Python's search for garbage cycles, for programs that import a lot and leave few cycles."""

from __future__ import annotations

import atexit
import gc

_USUAL = gc.get_threshold()


def collect_rarely() -> None:
    """Look for garbage less often, and not at exit: with the engine's SDK, that takes a third of a command's time.

    For what ends within seconds. A stream leaves garbage for as long as it runs: clients that reconnect are in cycles.
    """
    gc.set_threshold(50_000, 20, 100)
    atexit.register(gc.freeze)  # the interpreter then finds nothing to search at exit


def collect_as_usual() -> None:
    """Look for garbage as often as Python does by default from now on, but not among what exists already."""
    gc.freeze()
    gc.set_threshold(*_USUAL)
