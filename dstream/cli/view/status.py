"""The `dstream status` output for one task: infrastructure, figures, stream. Pure."""

from __future__ import annotations

from dstream.cli.view.answer import Answer
from dstream.cli.view.plan import Paint, drift_view, folded
from dstream.cli.view.stream import StreamView
from dstream.shown import shown

_LABEL = 15


def status_view(
    answer: Answer, stack: str, stream: StreamView | None, paint: Paint, *, age_s: float, width: int | None = None
) -> list[str]:
    """Return the lines. `age_s`: seconds since the infrastructure was checked. `width`: terminal columns at which long
    texts wrap; None: no wrapping. `stream`: None for a deployment.
    """
    age = "just now" if age_s < 1 else f"{age_s:.0f} s ago"
    lines = [f"{answer.heading} · stack {stack} · checked {age}", ""]
    lines += _lines("infrastructure", _infrastructure(answer), width)
    lines += drift_view([each for each in answer.resources if each.op != "same"], paint)
    lines += _figures(answer, width)
    lines += _lines("stream", shown(stream.text()), width) if stream else []
    if answer.outcome and answer.outcome.is_legacy:
        lines += _lines("delivery", "at most once: the output speaks the original protocol and sends no acks", width)
    if answer.has_changes and not any(each.op == "refresh" for each in answer.resources):
        fix, accept = f"dstream init {answer.task}", f"dstream status {answer.task} --refresh-only"
        lines += ["", f"Fix the drift:  {fix}", f"Accept it:      {accept}"]
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


def _figures(answer: Answer, width: int | None) -> list[str]:
    """One line per figure, with the names in a column; consecutive figures show a shared label once."""
    figures = answer.outcome.figures if answer.outcome else ()
    column = max((len(str(figure.get("name", ""))) for figure in figures), default=0)
    lines: list[str] = []
    last = ""
    for figure in figures:
        label = str(figure.get("label", ""))
        text = f"{figure.get('name', ''):<{column}}   {figure.get('text', '')}".strip()
        lines += _lines("" if label == last else label, text, width)
        last = label
    return lines


def _lines(label: str, text: str, width: int | None) -> list[str]:
    return folded(text, f"  {label:<{_LABEL}}  ", width)
