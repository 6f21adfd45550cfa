"""The signals that stop a command: the first one cleanly, the second one immediately, each with a line for the user."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator

from dstream.signals import SignalListener

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def stopped_by_signals(
    stop: Callable[[int], None],
    say: Callable[[str], None],
    first: str,
    on_hangup: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Call `stop` with each signal, then `say` with a line for the user. `first`: what the first signal starts.

    Each is called on a thread of its own, since `say` may have to wait for the reader of stderr. A signal that was
    ignored at the start, as SIGHUP is under nohup, stays ignored. `on_hangup` is called for SIGHUP instead of `stop`,
    if this process has no terminal that could hang up.
    """
    caught: queue.SimpleQueue[int] = queue.SimpleQueue()
    reacts = on_hangup if on_hangup is not None and not _has_terminal() else None

    def on_signal(number: int) -> None:
        if number == signal.SIGHUP and reacts is not None:
            reacts()
            return
        stop(number)
        caught.put(number)

    speaker = threading.Thread(target=_speak, args=(caught, say, first), name="stopping", daemon=True)
    speaker.start()
    listener = SignalListener({each for each in STOPPING if signal.getsignal(each) is not signal.SIG_IGN}, on_signal)
    listener.start()
    try:
        yield
    finally:
        listener.stop()
        caught.put(0)
        speaker.join()


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal, whose end the kernel or a shell reports with SIGHUP (tty(4))."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _speak(caught: queue.SimpleQueue[int], say: Callable[[str], None], first: str) -> None:
    number = caught.get()
    if number:
        again = "Press Ctrl-C again to stop now." if number == signal.SIGINT else "A second signal stops it now."
        say(f"{first} {again}")
    while number:
        number = caught.get()
        if number:
            say("Stopping now.")
