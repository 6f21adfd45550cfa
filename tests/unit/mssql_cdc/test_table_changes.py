from __future__ import annotations

import pytest
from dstream_mssql_cdc.catalog.instances import CapturedInstance, CapturedTable, Watermark, observe
from dstream_mssql_cdc.catalog.table_changes import Followed, InstancesChanged, check_instances, follow
from dstream_mssql_cdc.position import Position
from dstream_mssql_cdc.state import Table


def lsn(number: int) -> bytes:
    return number.to_bytes(10)


def mark(name: str = "a", start: int = 10, created: str = "2024-01-01", object_id: int = 1) -> Watermark:
    return Watermark(name, object_id, 5, lsn(start), created)


def captured(name: str, object_id: int, *marks: Watermark) -> CapturedTable:
    return CapturedTable(name, object_id, tuple(CapturedInstance(one, (), ()) for one in marks or [mark()]))


def known_as(name: str, object_id: int, *marks: Watermark) -> dict[str, Table]:
    return observe({}, [captured(name, object_id, *marks)], AT_100)


def followed(known: dict[str, Table], *tables: CapturedTable, others: dict[int, str] | None = None) -> Followed:
    marks = [instance.mark for table in tables for instance in table.instances] or [mark()]
    return follow(known, tables, others or {}, marks, AT_100)


def codes(result: Followed) -> dict[str, str]:
    return {name: lost.why.code for name, lost in result.lost.items()}


AT_100 = Position.end_of(lsn(100))


def test_a_renamed_table_continues_under_its_new_name() -> None:
    known = {**known_as("dbo.T", 5), **known_as("dbo.U", 6)}
    result = followed(known, captured("dbo.U", 5), captured("dbo.T", 6))
    assert {name: table.object_id for name, table in result.tables.items()} == {"dbo.U": 5, "dbo.T": 6}
    assert (result.renamed, result.lost) == ({"dbo.T": "dbo.U", "dbo.U": "dbo.T"}, {})


def test_a_table_renamed_to_a_name_that_is_not_selected_is_lost() -> None:
    """Also if another table has its old name now."""
    for tables in ([], [captured("dbo.T", 6)]):
        result = followed(known_as("dbo.T", 5), *tables, others={5: "dbo.T_old"})
        assert (result.tables, codes(result)) == ({}, {"dbo.T": "mssql.table_renamed"})
        assert "dbo.T_old" in result.lost["dbo.T"].why.hint


def test_a_recreated_table_is_lost() -> None:
    assert codes(followed(known_as("dbo.T", 5), captured("dbo.T", 6))) == {"dbo.T": "mssql.table_recreated"}


def test_a_table_that_the_login_no_longer_sees_is_not_lost() -> None:
    known = known_as("dbo.T", 5)
    assert followed(known) == Followed(known, {}, {})


@pytest.mark.parametrize(
    ("now", "code"),
    [
        ([mark("b")], "mssql.instance_dropped"),
        ([mark(object_id=2)], "mssql.instance_recreated"),
        ([mark(created="2024-05-05")], "mssql.instance_recreated"),
    ],
)
def test_a_table_whose_instance_was_dropped_or_recreated_is_lost(now: list[Watermark], code: str) -> None:
    known = known_as("dbo.T", 5)
    result = followed(
        {**known, **known_as("dbo.U", 6, mark("u"))}, captured("dbo.T", 5, *now), captured("dbo.U", 6, mark("u"))
    )
    assert (list(result.tables), codes(result)) == (["dbo.U"], {"dbo.T": code})
    assert result.lost["dbo.T"].why.hint
    with pytest.raises(InstancesChanged):
        check_instances(known, now, AT_100)


def test_an_instance_that_was_read_to_its_end_may_be_dropped() -> None:
    known = known_as("dbo.T", 5, mark("a"), mark("b", 200, "2024-02-01"))
    check_instances(known, [mark("b", 200, "2024-02-01")], Position.end_of(lsn(199)))
    with pytest.raises(InstancesChanged):
        check_instances(known, [mark("b", 200, "2024-02-01")], Position.end_of(lsn(198)))
