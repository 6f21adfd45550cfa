"""What a relay reports about itself while it relays rows. Its streams: tests/conformance."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from dstream.host.run.relay import Modes, Relay
from tests.conformance.runs import job


class Ledger:
    """Lets the first chunk pass; the next one waits, as for a lease that is not proven."""

    def __init__(self) -> None:
        self.chunks = 0
        self.waits = threading.Event()

    def may_pass_on(self) -> bool:
        self.chunks += 1
        if self.chunks > 1:
            self.waits.set()
        return self.chunks == 1

    def relayed(self, rows: int, size: int, read_s: float = 0.0) -> bytes:
        return b""

    def opened(self, checkpoint: object) -> None:
        pass

    def wait_for_room(self, max_in_flight: int, timeout_s: float) -> bool:
        return True


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def pipe(stack: ExitStack) -> tuple[Any, Any]:
    reader, writer = os.pipe()
    return stack.enter_context(open(reader, "rb")), stack.enter_context(open(writer, "wb", buffering=0))


def test_an_input_is_not_silent_while_a_checkpoint_of_the_host_waits_for_the_output(
    tmp_path: Path, stack: ExitStack
) -> None:
    stdout, of_input = pipe(stack)
    _, stdin = pipe(stack)
    link = Mock(process=Mock(stdout=stdout), handshake=Mock(is_ready=True, is_legacy=False))
    relay = Relay(link, job(tmp_path), Mock(), queue.SimpleQueue(), lambda: 100.0)
    ledger: Any = Ledger()
    relay.attach(Mock(role="output", process=Mock(stdin=stdin)), ledger, Modes(host_checkpoints=True))
    relay.start()
    of_input.write(b'{"data":{}}\n')
    assert ledger.waits.wait(60)
    assert relay.liveness.silent_s(1000.0) == 0.0
    relay.discard()
    of_input.close()
    relay.join(60)
    assert not relay.is_alive()
