"""The `dstream status` output for one task: infrastructure, figures, stream. Pure."""

from __future__ import annotations

from dstream.cli.view.answer import Answer
from dstream.cli.view.plan import Paint, drift_view
from dstream.cli.view.stream import StreamView

_LABEL = 15


def status_view(answer: Answer, stack: str, stream: StreamView, paint: Paint, *, age_s: float) -> list[str]:
    """Return the lines. `age_s`: seconds since the infrastructure was checked."""
    age = "just now" if age_s < 1 else f"{age_s:.0f} s ago"
    lines = [f"{answer.heading} · stack {stack} · checked {age}", ""]
    lines.append(_line("infrastructure", _infrastructure(answer)))
    lines += drift_view([each for each in answer.resources if each.op != "same"], paint)
    lines += _figures(answer)
    lines.append(_line("stream", stream.text()))
    if answer.outcome and answer.outcome.is_legacy:
        lines.append(_line("delivery", "at most once: the output speaks the original protocol and sends no acks"))
    if answer.has_changes and not any(each.op == "refresh" for each in answer.resources):
        name = answer.task
        lines += ["", f"Fix the drift: dstream init {name}   ·   accept it: dstream status {name} --refresh-only"]
    return lines


def _infrastructure(answer: Answer) -> str:
    if answer.has_no_infrastructure:
        return f"none: {answer.provider} manages none"
    if not answer.is_success:
        return "unknown"
    drifted = sum(each.op not in ("same", "refresh") for each in answer.resources)
    accepted = sum(each.op == "refresh" for each in answer.resources)
    if drifted:
        return f"drift in {drifted:,} of {len(answer.resources):,}"
    if accepted:
        return f"drift in {accepted:,} of {len(answer.resources):,}, now recorded"
    if answer.resources:
        return f"{len(answer.resources):,} as recorded"
    return answer.message or f"nothing recorded: dstream init {answer.task}"


def _figures(answer: Answer) -> list[str]:
    """One line per figure; consecutive figures show a shared label once."""
    lines: list[str] = []
    last = ""
    for figure in answer.outcome.figures if answer.outcome else ():
        label = str(figure.get("label", ""))
        text = f"{figure.get('name', '')} {figure.get('text', '')}".strip()
        lines.append(_line("" if label == last else label, text))
        last = label
    return lines


def _line(label: str, text: str) -> str:
    return f"  {label:<{_LABEL}}  {text}"
