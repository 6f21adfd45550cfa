"""A bug in one of a run's threads ends the run with an error, instead of leaving the run waiting."""

from __future__ import annotations

import errno
import os
import queue
from types import SimpleNamespace
from typing import Any

import pytest

from dstream.errors import SystemFault
from dstream.host.run.faults import fault_of
from dstream.host.run.notes import Closed, Failed, Mailbox
from dstream.host.run.reader import ProviderReader


class Broken(ProviderReader):
    role = "input"

    def _read(self) -> None:
        raise KeyError("next")


def test_a_bug_in_a_reader_is_told_to_the_main_thread() -> None:
    mailbox: Mailbox = queue.SimpleQueue()
    parts: Any = SimpleNamespace(handshake=None, spec=SimpleNamespace(place=None), process=None, task="orders")
    Broken(parts, parts, parts, mailbox, lambda: 0.0).run()
    failed = mailbox.get_nowait()
    assert isinstance(failed, Failed)
    assert (failed.role, failed.error.code) == ("input", "run.crashed")
    assert "KeyError: 'next'" in failed.error.details[-1]
    assert mailbox.get_nowait() == Closed("input")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SystemFault("state.write_failed", "disk full"), "state.write_failed"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "system.failed"),
        (RuntimeError("can't start new thread"), "provider.no_resources"),
        (RuntimeError("a bug"), "run.crashed"),
    ],
)
def test_every_exception_becomes_an_error_of_the_tree(error: Exception, code: str) -> None:
    assert fault_of(error, "orders").code == code
