"""The progress of a pull, on a terminal and elsewhere."""

from __future__ import annotations

import io

from dstream.cli.pulling import PullProgress
from dstream.plugins import Pull

REFERENCE = "ghcr.io/katasec/dstream-out-asb:v0.2.0"
STEPS = [Pull(REFERENCE, "linux_amd64", n * 4_200_000, is_done=n == 2) for n in range(3)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown_on(stream: io.StringIO, *, everywhere: bool = False) -> str:
    progress = PullProgress(stream, everywhere=everywhere)
    for each in STEPS:
        progress(each)
    return stream.getvalue()


def test_a_terminal_shows_the_size_in_place_and_the_built_in_alternative() -> None:
    assert shown_on(Terminal()).split("\r\x1b[K") == [
        "",
        f"Pulling {REFERENCE} for linux_amd64: 0.0 MB",
        f"Pulling {REFERENCE} for linux_amd64: 4.2 MB",
        f'Pulled {REFERENCE} for linux_amd64: 8.4 MB\nDStream includes its equivalent: use provider = "servicebus".\n',
    ]


def test_elsewhere_only_the_end_is_shown_and_only_if_asked_for() -> None:
    assert shown_on(io.StringIO()) == ""
    assert shown_on(io.StringIO(), everywhere=True).splitlines()[0] == f"Pulled {REFERENCE} for linux_amd64: 8.4 MB"
