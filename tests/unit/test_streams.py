"""stdout fails loudly, stderr never fails, and neither cares about its encoding. On real descriptors, no mocks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dstream.errors import SystemFault
from dstream.streams import LossyStream, ReaderGone, ResultStream, erase_above
from dstream.telemetry import StructuredLog

FULL = Path("/dev/full")
needs_dev_full = pytest.mark.skipif(not FULL.exists(), reason="/dev/full is Linux's")


@needs_dev_full
def test_a_result_that_cannot_be_written_is_an_error_that_says_why() -> None:
    with FULL.open("wb") as full, pytest.raises(SystemFault, match="cannot write to stdout: No space left") as caught:
        ResultStream(full.fileno(), "utf-8").write("a result\n")
    assert caught.value.code == "output.failed"


def test_a_reader_that_has_enough_ends_the_command_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb"), pytest.raises(ReaderGone):
        ResultStream(writer, "utf-8").write("a result\n")


@pytest.mark.parametrize("text", ["→ ü", "\U0001f600", "\udcff"])
def test_a_character_that_the_encoding_lacks_stays_readable_as_json(text: str) -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as read:
        with open(writer, "wb"):
            ResultStream(writer, "latin-1").write(json.dumps(text, ensure_ascii=False))
        assert json.loads(read.read().decode("latin-1")) == text


def test_only_dstream_moves_the_cursor_and_no_text_does() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as read:
        with open(writer, "wb"):
            stream = LossyStream(writer, "utf-8")
            stream.write("\x1b[3A\x1b[J")
            erase_above(stream, 3)
        assert read.read() == b"\\u001b[3A\\u001b[J\r\x1b[3A\x1b[J"


@needs_dev_full
@pytest.mark.parametrize("format_", ["text", "json"])
def test_dropped_log_lines_are_counted_and_reported_once_the_disk_has_room(format_: str, tmp_path: Path) -> None:
    with FULL.open("wb") as full, (tmp_path / "log").open("wb") as file:
        descriptor = os.dup(full.fileno())
        log = StructuredLog(LossyStream(descriptor, "utf-8"), format=format_)  # type: ignore[arg-type]
        log.log("info", "one")
        log.log("info", "two")
        os.dup2(file.fileno(), descriptor)
        log.log("info", "three")
        log.log("info", "four")
        os.close(descriptor)
    three, report, four = (tmp_path / "log").read_text().splitlines()
    assert "three" in three
    assert "four" in four
    assert "log.dropped" in report
    assert "No space left on device" in report
    assert "lines=2" in report or json.loads(report)["lines"] == 2


def test_a_reader_that_pauses_delays_one_line_only_and_gets_the_later_ones_whole() -> None:
    reader, writer = os.pipe()
    stream = LossyStream(writer, "utf-8")
    stream.wait_at_most(0.05)
    line = "x" * 1000 + "\n"
    while not stream.lost:
        stream.write(line)
    stream.write("dropped at once\n")
    assert stream.lost == 2
    assert stream.reason == "its reader does not read"
    held = os.read(reader, 1_000_000)
    stream.write("whole\n")
    os.close(writer)
    with open(reader, "rb") as rest:
        assert (held + rest.read()).decode().splitlines()[-1] == "whole"


def test_a_line_that_was_cut_off_does_not_run_into_the_next(tmp_path: Path) -> None:
    # RLIMIT_FSIZE is a disk of 20 bytes: the first line fits in part.
    code = (
        "import resource, sys\n"
        "from dstream import streams\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))\n"
        "streams.protect()\n"
        "print('0123456789' * 3, file=sys.stderr)\n"
        "print('dropped', file=sys.stderr)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "print('whole', file=sys.stderr)\n"
    )
    with (tmp_path / "log").open("wb") as log:
        subprocess.run([sys.executable, "-c", code], stderr=log, check=True)
    assert (tmp_path / "log").read_text() == "01234567890123456789\nwhole\n"


def test_a_closed_descriptor_is_never_given_to_a_file(tmp_path: Path) -> None:
    code = (
        "from dstream import streams\n"
        "streams.protect()\n"
        f"file = open({str(tmp_path / 'data')!r}, 'w')\n"
        "import os, sys\n"
        "os.write(2, b'a message')\n"
        "print('another', file=sys.stderr)\n"
        "assert file.fileno() > 2\n"
        "assert sys.stdin.read() == ''\n"
    )
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    assert subprocess.run([*closed, sys.executable, "-c", code], check=False).returncode == 0
    assert (tmp_path / "data").read_text() == ""
