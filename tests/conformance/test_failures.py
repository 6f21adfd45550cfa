"""Failed runs: the error names the cause and the block, both processes exit, and stored state is kept."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from dstream.errors import ConfigError, DStreamError, SourceLocation, exit_code
from dstream.host import Job, ProviderSpec
from tests.conformance.runs import (
    Background,
    Recorded,
    job,
    lose_patience,
    provider,
    run,
    script,
    sink_numbers,
    stored_state,
)


@dataclass(frozen=True)
class Case:
    """A fault, and the words that its error must contain."""

    role: str
    code: str
    words: tuple[str, ...]
    config: dict[str, Any]
    exit: int = 1
    details: str = ""


CASES = {
    "input error before ready": Case("input", "rows.bad", ("no such table",), {"fault": "refuses"}, exit=3),
    "input exit before ready": Case(
        "input", "provider.died", ("exited with code 7 before it was ready",), {"fault": "early_exit"}, details="libfoo"
    ),
    "input error": Case("input", "rows.lost", ("connection lost",), {"fault": "error"}),
    "input exit": Case("input", "provider.died", ("exited with code 3 while the stream",), {"fault": "exit"}),
    "input exit 0": Case("input", "protocol.end_missing", ("without an end line",), {"fault": "exit_0"}),
    "input killed": Case("input", "provider.died", ("was killed by SIGKILL",), {"fault": "killed"}),
    "input closes stdout": Case("input", "protocol.end_missing", ("closed its pipes",), {"fault": "closes_stdout"}),
    "input unterminated": Case("input", "protocol.end_missing", (), {"fault": "unterminated"}),
    "input miscount": Case("input", "protocol.count_mismatch", ("counts 4 rows", "relayed 3"), {"fault": "miscount"}),
    "input uncovered end": Case("input", "protocol.count_mismatch", ("3 rows after",), {"fault": "uncovered_end"}),
    "input skips": Case("input", "protocol.bad_sequence", ("checkpoint 2 after 0",), {"fault": "skips_seq"}),
    "input stateless": Case("input", "protocol.bad_line", ("no state object",), {"fault": "stateless"}),
    "input bad control": Case("input", "protocol.bad_line", ("broke the protocol",), {"fault": "bad_control"}),
    "input data after end": Case(
        "input", "protocol.bad_line", ("a data line came after its end",), {"fault": "after_end"}
    ),
    "input long line": Case(
        "input",
        "provider.line_too_long",
        ('task "orders"', "a data line of 1", "bytes; the limit is 100,000 bytes"),
        {"fault": "long_line", "size": 99_995, "rows": 4, "after": 1},
    ),
    "input endless line": Case("input", "provider.line_too_long", ("limit is 100,000",), {"fault": "endless_line"}),
    "input long control": Case("input", "provider.line_too_long", ("control", "65,536"), {"fault": "long_control"}),
    "output error before ready": Case("output", "provider.failed", ("old style",), {"fault": "refuses"}),
    "output prose for ready": Case(
        "output", "protocol.bad_line", ("answer to line 1",), {"fault": "prose_after_hello"}
    ),
    "output error": Case("output", "sink.full", ("disk full",), {"fault": "error"}),
    "output exit": Case(
        "output", "provider.died", ("exited with code 9 while the stream",), {"fault": "exit"}, details="last words"
    ),
    "output killed": Case("output", "provider.died", ("was killed by SIGKILL",), {"fault": "killed"}),
    "output miscounts": Case(
        "output", "protocol.count_mismatch", ("settled 4 rows", "received 5"), {"fault": "miscounts"}
    ),
    "output acks ahead": Case(
        "output", "protocol.bad_sequence", ("acknowledged checkpoint",), {"fault": "acks_ahead", "at": 2}
    ),
    "output ack without n": Case("output", "protocol.bad_line", ("ack 1 has no n",), {"fault": "countless"}),
    "output leaves rows unacknowledged": Case(
        "output", "provider.died", ("exited with code 0 while",), {"fault": "forgets", "at": 0, "hold_acks": 9}
    ),
    "output bad control": Case("output", "protocol.bad_line", ("broke the protocol",), {"fault": "bad_control"}),
    "output long control": Case("output", "provider.line_too_long", ("control",), {"fault": "long_control"}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_ends_the_run_with_its_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    if case.config["fault"] == "closes_stdout":
        lose_patience(monkeypatch)
    events = Recorded()
    error = failure(faulty_job(tmp_path, case.role, case.config), events)
    assert error.code == case.code
    assert all(word in error.message for word in case.words), error.message
    assert case.details in "\n".join(error.details)
    assert exit_code(error, was_running=True) == case.exit
    if case.role == "input" and case.config["fault"] not in ("refuses", "error"):
        assert error.place == SourceLocation("dstream.hcl", 3, block='task "orders", input block')
    assert not living_children()
    if case.code.startswith("protocol.count"):
        assert stored_state(tmp_path) is None
    assert events.named("run.failed")[0]["code"] == case.code


def test_a_failed_output_ends_the_run_without_waiting_for_the_input(tmp_path: Path) -> None:
    the_input = provider("input.py", 3, hold=True, ignores_sigterm=True)
    the_job = job(tmp_path, input=the_input, output=provider("output.py", 12, fault="error"), exit_grace_s=60.0)
    started_s = time.monotonic()
    assert failure(the_job).code == CASES["output error"].code
    assert time.monotonic() - started_s < the_job.exit_grace_s / 2


def test_a_config_path_becomes_the_place_in_the_file(tmp_path: Path) -> None:
    error = failure(faulty_job(tmp_path, "input", {"fault": "refuses"}))
    assert str(error.place) == "dstream.hcl:5:7"
    assert (error.hint, error.config_path) == ("check", "tables[0]")


def test_after_a_failure_the_next_run_repeats_only_unacknowledged_rows(
    tmp_path: Path,
) -> None:
    failure(faulty_job(tmp_path, "input", {"fault": "exit", "rows": 20, "every": 5, "after": 12}))
    document = stored_state(tmp_path)
    assert document is None or document["state"]["next"] in (5, 10)
    run(job(tmp_path, input=provider("input.py", 3, rows=20 - (document["state"]["next"] if document else 0))))
    assert set(sink_numbers(tmp_path)) == set(range(20))


def test_an_unterminated_last_line_is_never_forwarded(tmp_path: Path) -> None:
    failure(faulty_job(tmp_path, "input", {"fault": "unterminated"}))
    sink = tmp_path / "sink"  # missing if the output was terminated before opening it
    assert not sink.exists() or b"half" not in sink.read_bytes()


def test_an_output_that_closes_its_stdin_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_patience(monkeypatch)
    more_than_a_pipe_holds = provider("input.py", 3, rows=200, size=50_000)
    error = failure(job(tmp_path, input=more_than_a_pipe_holds, output=provider("output.py", 12, fault="closes_stdin")))
    assert error.code == "provider.died"
    assert error.message == 'output provider "output" closed its pipes while the stream was running'


ODD = {
    "prose": ("provider.no_hello", "Starting up the reader"),
    "prose_stays": ("provider.no_hello", "Starting up the reader"),
    "quiet": ("provider.not_ready", ""),
    "gone": ("provider.died", "no module named foo"),
    "protocol_2": ("provider.wrong_protocol", ""),
    "control_first": ("protocol.bad_line", ""),
    "early_data": ("protocol.bad_line", ""),
    "early_ready": ("protocol.bad_line", ""),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_program_that_is_not_a_provider_gets_a_specific_error(kind: str, tmp_path: Path) -> None:
    code, detail = ODD[kind]
    # Only cases that wait for the timeout have a short one: an interpreter starts slowly on a busy machine.
    start_timeout_s = {"quiet": 0.7, "prose_stays": 4.0}.get(kind, 60.0)
    error = failure(job(tmp_path, input=odd("input", kind), start_timeout_s=start_timeout_s))
    assert error.code == code
    assert detail in "\n".join(error.details)
    assert error.place == SourceLocation("dstream.hcl", 3)
    assert not living_children()


def test_a_provider_that_is_not_ready_in_time_shows_its_last_stderr_lines(tmp_path: Path) -> None:
    error = failure(job(tmp_path, input=provider("input.py", 3, fault="not_ready"), start_timeout_s=1.0))
    assert error.code == "provider.not_ready"
    assert "no ready within 1 s" in error.message
    assert error.details == ("waiting for a database",)


def test_an_input_used_as_output_is_refused_before_line_1(tmp_path: Path) -> None:
    error = failure(job(tmp_path, output=odd("output", "input")))
    assert isinstance(error, ConfigError)
    assert error.code == "provider.wrong_role"
    assert error.message == '"counter" is an input provider and cannot be used as an output'
    assert error.hint == (
        "It reads data; it neither writes it nor manages infrastructure. Did you swap input and output?"
    )
    assert error.place == SourceLocation("dstream.hcl", 12)


def test_an_output_used_as_input_is_refused_before_line_1(tmp_path: Path) -> None:
    error = failure(job(tmp_path, input=odd("input", "output")))
    assert error.message == '"servicebus" is an output provider and cannot be used as an input'
    assert "swap" in error.hint


def test_a_missing_or_invalid_executable_is_a_config_error(tmp_path: Path) -> None:
    missing = replace(provider("input.py", 3), argv=[str(tmp_path / "nowhere")])
    assert failure(job(tmp_path, input=missing)).code == "provider.not_found"
    text = tmp_path / "text"
    text.write_text("just text\n")
    text.chmod(0o755)
    error = failure(job(tmp_path, input=replace(missing, argv=[str(text)])))
    assert error.code == "provider.not_executable"
    assert "#!" in error.hint
    assert not living_children()


def test_silence_is_detected_while_the_host_waits_for_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORE", "heartbeat")
    error = failure(job(tmp_path, input=provider("input.py", 3, hold=True, fault="silent", after=99), silence_s=0.5))
    assert error.code == "provider.silent"
    assert "input" in error.message


def test_heartbeats_keep_a_quiet_provider_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORE", "heartbeat")
    running = Background(job(tmp_path, input=provider("input.py", 3, hold=True), silence_s=0.6))
    running.events.wait_for_progress(lambda progress: progress.last_seq == 2)
    start = len(running.events.events)
    deadline = Deadline(1.2)
    running.events.wait_for_progress(lambda _: deadline.is_over)
    assert not running.events.named("run.failed"), running.events.events[start:]
    running.stop.request()
    assert running.result().drained


def test_an_input_blocked_by_a_slow_output_is_not_reported_as_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORE", "heartbeat")
    running = Background(
        job(
            tmp_path,
            # More than the pipes and the relay's buffer hold, to an output that reads nothing.
            input=provider("input.py", 3, rows=200, size=50_000),
            output=provider("output.py", 12, fault="idle"),
            silence_s=0.3,
        )
    )
    running.events.wait_for("run.started")
    running.events.wait_for_progress(lambda progress: progress.rows_relayed > 0)
    deadline = Deadline(1.0)
    running.events.wait_for_progress(lambda _: deadline.is_over)
    assert not running.events.named("run.failed")
    running.stop.request()
    running.stop.request()
    assert not running.result().drained


def test_a_state_that_cannot_be_written_fails_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "dev"
    running = Background(job(tmp_path, input=provider("input.py", 3, hold=True)))
    running.events.wait_for("run.started")
    running.events.wait_for_progress(lambda progress: progress.last_seq == 2)
    running.stop.request()
    running.result()
    (folder / "orders.json").unlink()
    (folder / "orders.json").mkdir()
    (folder / "orders.json" / "in the way").touch()
    error = failure(job(tmp_path))
    assert error.code in ("state.unreadable", "state.write_failed")
    assert not living_children()


class Deadline:
    def __init__(self, after_s: float) -> None:
        import time

        self._clock = time.monotonic
        self._at = time.monotonic() + after_s

    @property
    def is_over(self) -> bool:
        return self._clock() >= self._at


def failure(the_job: Job, events: Recorded | None = None) -> DStreamError:
    with pytest.raises(DStreamError) as caught:
        run(the_job, events)
    return caught.value


def faulty_job(folder: Path, role: str, config: dict[str, Any]) -> Job:
    sink = str(folder / "sink")
    if role == "input":
        return job(folder, input=provider("input.py", 3, **config), max_line=100_000)
    return job(
        folder,
        input=provider("input.py", 3, rows=10, every=5, hold=config["fault"] != "forgets"),
        output=provider("output.py", 12, sink=sink, **config),
    )


def odd(role: str, kind: str) -> ProviderSpec:
    return ProviderSpec(
        argv=script("odd.py", kind),
        config={},
        label=kind,
        place=SourceLocation("dstream.hcl", 3 if role == "input" else 12),
    )


def living_children() -> list[psutil.Process]:
    """Providers of this folder that still run; servers of other tests can be children of the same worker."""
    folder = str(Path(__file__).parent)
    living = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if folder in " ".join(child.cmdline()):
                living.append(child)
    return living


def test_an_outputs_error_about_a_row_points_to_the_input(tmp_path: Path) -> None:
    the_job = job(tmp_path, output=provider("output.py", 12, fault="error", kind="data"))
    with pytest.raises(DStreamError) as caught:
        run(the_job)
    assert (caught.value.kind, caught.value.place) == ("data", the_job.input.place)
