"""Finds resources that one task deletes and another one creates, and suggests moving them. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from dstream.cli.view.answer import Answer
from dstream.cli.view.words import few
from dstream.protocol.messages import Operation


def suggested_moves(answers: Sequence[Answer], again: Sequence[str] = ()) -> Iterator[str]:
    """Yield a line per pair of tasks: 'returns: deleted by orders, created by sales. To move it instead: ..'.

    Tasks may use different namespaces, so it is only a suggestion. `again`: the options that the command repeats.
    """
    for source in answers:
        for target in answers:
            names = _outermost(sorted(_of(source, "delete") & _of(target, "create")))
            if names and source is not target:
                resources = [part for name in names for part in ("--resource", shlex.quote(name))]
                command = ["dstream", "state", "infra", "mv", source.task, target.task, *resources, *again]
                yield (
                    f"{few(names)}: deleted by {source.task}, created by {target.task}. "
                    f"To move {'it' if len(names) == 1 else 'them'} instead: {' '.join(command)}"
                )


def _of(answer: Answer, operation: Operation) -> set[tuple[str, str]]:
    return {(each.name, each.type) for each in answer.resources if each.op == operation}


def _outermost(found: Sequence[tuple[str, str]]) -> list[str]:
    """The names, without those of resources that move with the one they are in: `events/audit` with `events`."""
    names = list(dict.fromkeys(name for name, _ in found))
    return [name for name in names if not any(name.startswith(f"{other}/") for other in names)]
