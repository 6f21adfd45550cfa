"""Resources that one task deletes and another one creates: most likely, they have moved in the file."""

from __future__ import annotations

from dstream.cli.view.answer import Answer
from dstream.cli.view.moves import suggested_moves
from dstream.host import LifecycleOutcome
from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import Operation


def answer(task: str, op: Operation, *names: str) -> Answer:
    resources = [ListedResource(name, "acme:Queue", op) for name in names]
    return Answer(task, "acme", outcome=LifecycleOutcome("acme", resources=resources))


def test_a_move_is_suggested_with_what_is_in_it() -> None:
    orders = answer("orders", "delete", "events", "events/audit", "old", "returns")
    sales = answer("sales", "create", "events", "events/audit", "returns", "new")
    assert list(suggested_moves([orders, sales, answer("other", "update", "returns")], ["-c", "x.hcl"])) == [
        "events, returns: deleted by orders, created by sales. To move them instead: "
        "dstream state infra mv orders sales --resource events --resource returns -c x.hcl"
    ]
    assert not list(suggested_moves([orders, answer("sales", "same", "events")]))
