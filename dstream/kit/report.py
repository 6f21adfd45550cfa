"""Runs the checks against a provider, one after another, and reports each result."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dstream.host.provider.spec import ProviderSpec
from dstream.kit.checks import CHECKS, Check
from dstream.kit.limits import CheckLimits
from dstream.kit.subject import NotObservable, Subject, Violation
from dstream.protocol.messages import Hello, Role

Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check; `reason` explains a failure, or why the check was skipped."""

    check: Check
    outcome: Outcome
    reason: str = ""
    took_ms: int = 0


@dataclass(frozen=True, slots=True)
class ConformanceReport:
    """The results of all checks. `hello` is None if the provider did not send one."""

    hello: Hello | None
    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        return not self.failures

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        return tuple(each for each in self.results if each.outcome == "failed")

    def __str__(self) -> str:
        """The failures, one per line, for a test's assertion message."""
        return "\n".join(f"{each.check.name}: {each.reason}" for each in self.failures) or "all passed"


def check_provider(
    argv: Sequence[str],
    config: Mapping[str, Any] | None = None,
    *,
    role: Role | None = None,
    limits: CheckLimits | None = None,
    lifecycle: bool = False,
    on_result: Callable[[CheckResult], None] = lambda _: None,
) -> ConformanceReport:
    """Start the provider repeatedly, behave as a host would and as no host should, and check how it responds.

    `config`: the config to test with; for an input, a source with a few hundred rows exercises most checks.
    `lifecycle`: let an output with infrastructure create what the config declares before it streams, and delete it
    afterwards. Raises ConfigError if the provider cannot be started.
    """
    results: dict[str, CheckResult] = {}
    with tempfile.TemporaryDirectory(prefix="dstream-kit-") as work_dir:
        spec = ProviderSpec(argv, config or {}, argv[-1])
        subject = Subject(spec, role, limits or CheckLimits(), lifecycle, work_dir)
        for check in CHECKS:
            if not _applies(check, subject):
                continue
            result = _result(check, subject, results)
            results[check.name] = result
            on_result(result)
    return ConformanceReport(subject.hello, tuple(results.values()))


def _applies(check: Check, subject: Subject) -> bool:
    role = subject.hello.role if subject.hello is not None else subject.role
    if check.role not in (None, role):
        return False
    if check.capability and check.capability not in subject.capabilities:
        return False
    if check.infrastructure is None:
        return True
    has_some = "infrastructure" in subject.capabilities
    return (has_some and subject.lifecycle) if check.infrastructure else not has_some


def _result(check: Check, subject: Subject, before: Mapping[str, CheckResult]) -> CheckResult:
    for needed in check.needs:
        if needed in before and before[needed].outcome != "passed":
            return CheckResult(check, "skipped", f'depends on "{needed}"')
    started_at_s = time.monotonic()
    outcome, reason = _outcome(check, subject)
    return CheckResult(check, outcome, reason, round(1000 * (time.monotonic() - started_at_s)))


def _outcome(check: Check, subject: Subject) -> tuple[Outcome, str]:
    try:
        check.run(subject)
    except Violation as violation:
        return "failed", str(violation)
    except NotObservable as not_observable:
        return "skipped", str(not_observable)
    return "passed", ""
