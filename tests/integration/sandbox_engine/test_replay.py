"""Whatever concurrent sessions do, the change rows replayed in the order of their four-part key give the table."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.sandbox_engine.client import Background, Client

KEY = "[__$start_lsn], [__$command_id], [__$seqval], [__$operation]"
_ENDS = frozenset({1205, 1222})


def _statement(rng: random.Random) -> str:
    low = rng.randrange(30)
    high = low + rng.randrange(8)
    return rng.choice(
        (
            f"INSERT t VALUES ({rng.randrange(4)}, {rng.randrange(9)}, 'a')",
            f"INSERT t SELECT value + 100, value, 'b' FROM GENERATE_SERIES({low}, {high})",
            f"UPDATE t SET a = a + 1, b = b + 'x' WHERE id BETWEEN {low} AND {high}",
            f"UPDATE t SET a = a WHERE id = {low}",
            f"UPDATE t SET id = id + 1 WHERE id BETWEEN {low} AND {high}",
            f"UPDATE t SET id = {rng.randrange(4)} WHERE id = {low}",
            f"DELETE t WHERE id BETWEEN {low} AND {low + 2}",
            f"DELETE t WHERE id >= 100 AND a = {rng.randrange(9)}",
            f"MERGE t AS d USING (VALUES ({low}, 1), ({high + 1}, 2)) AS s(id, a) ON d.id = s.id WHEN MATCHED THEN "
            "UPDATE SET a = s.a WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.a, 'm');",
        )
    )


def _work(client: Client, seed: int, steps: int) -> None:
    """Run random statements; only key and lock errors are allowed."""
    rng = random.Random(seed)
    client.run("SET LOCK_TIMEOUT 300")
    for _ in range(steps):
        explicit = rng.random() < 0.6
        lines = ["BEGIN TRAN"] if explicit else []
        for _ in range(rng.randrange(1, 5)):
            lines.append(_statement(rng))
            if explicit and rng.random() < 0.2:
                lines += ["IF @@TRANCOUNT > 0 SAVE TRAN s", _statement(rng), "IF @@TRANCOUNT > 0 ROLLBACK TRAN s"]
        if explicit:
            lines.append(f"IF @@TRANCOUNT > 0 {rng.choice(('COMMIT', 'COMMIT', 'ROLLBACK'))}")
        for line in lines:
            errors = set(client.answer(line).errors)
            assert errors <= {2627, *_ENDS}, (line, errors)


@pytest.mark.parametrize("seed", range(4))
def test_replaying_the_change_table_gives_the_table(
    tracked: Client, open_client: Callable[[], Client], seed: int
) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(200))")
    tracked.run("EXEC sys.sp_cdc_enable_table 'dbo', 't', NULL")
    clients = [(open_client(), seed * 10 + n) for n in range(3)]
    for work in [Background(lambda c=c, s=s: _work(c, s, 25)) for c, s in clients]:
        work.finish(60)
    state: dict[int, tuple[Any, ...]] = {}
    before: tuple[Any, ...] | None = None
    for operation, *row in tracked.rows(f"SELECT [__$operation], id, a, b FROM cdc.dbo_t_CT ORDER BY {KEY}"):
        values = tuple(row)
        if operation == 1:
            assert state.pop(values[0]) == values
        elif operation == 2:
            assert values[0] not in state
            state[values[0]] = values
        elif operation == 3:
            assert state[values[0]] == values
            before = values
        else:
            assert before is not None
            assert before[0] == values[0]
            state[values[0]] = values
    assert sorted(state.values()) == tracked.rows("SELECT id, a, b FROM t ORDER BY id")
    assert state
