"""Signals are noticed while the main thread waits, whatever other threads do."""

from __future__ import annotations

import selectors
import signal
import subprocess
import sys

STARTS_THREADS = """
import queue, signal, threading
from dstream.signals import SignalListener

def start_threads():
    while True:
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()

SignalListener([signal.SIGTERM], lambda number: print(number, flush=True)).start()
threading.Thread(target=start_threads, daemon=True).start()
print("ready", flush=True)
queue.SimpleQueue().get()
"""


def test_every_signal_is_noticed_while_threads_are_started() -> None:
    with subprocess.Popen([sys.executable, "-P", "-c", STARTS_THREADS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        readable = selectors.DefaultSelector()
        readable.register(process.stdout, selectors.EVENT_READ)
        try:
            assert process.stdout.readline() == b"ready\n"
            for number in range(100):
                process.send_signal(signal.SIGTERM)
                assert readable.select(timeout=30), f"signal {number} was not noticed"
                assert process.stdout.readline() == b"15\n"
        finally:
            process.kill()


def test_a_listener_that_is_stopped_leaves_the_signals_as_they_were() -> None:
    script = """
import os, signal
from dstream.signals import SignalListener

seen = []
signal.signal(signal.SIGUSR1, lambda number, _: seen.append(f"handler {number}"))
listener = SignalListener([signal.SIGUSR1], lambda number: seen.append(f"listener {number}"))
listener.start()
os.kill(os.getpid(), signal.SIGUSR1)
listener.stop()
os.kill(os.getpid(), signal.SIGUSR1)
print(seen, signal.set_wakeup_fd(-1), len(os.listdir("/proc/self/fd")) - files)
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", 'import os; files = len(os.listdir("/proc/self/fd"))' + script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == f"['listener {signal.SIGUSR1}', 'handler {signal.SIGUSR1}'] -1 0\n"
