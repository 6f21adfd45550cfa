from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from dstream_mssql_cdc.errors import ReadInterrupted
from dstream_mssql_cdc.health import checks
from dstream_mssql_cdc.health.facts import (
    CaptureError,
    CdcJob,
    ChangeTableSizes,
    Denied,
    Platform,
    TimeToLoss,
    jobs,
    platform,
    retention_s,
)

BOX = Platform("SQL Server", "16.0.1", "Developer Edition", "Ann's", "ann]", "Shop", is_read_only=False)
AZURE = replace(BOX, kind="Azure SQL Database")
HOUR, DAY = 3600.0, 86400.0


@pytest.mark.parametrize(
    ("engine_edition", "rdsadmin", "kind"),
    [
        (3, None, "SQL Server"),
        (3, 5, "Amazon RDS for SQL Server"),
        (5, None, "Azure SQL Database"),
        (8, None, "Azure SQL Managed Instance"),
    ],
)
def test_the_platform_is_told_by_its_edition_and_system_database(
    engine_edition: int, rdsadmin: int | None, kind: str
) -> None:
    row = (engine_edition, "16.0.1", "Developer Edition", "ann", "ann", "Shop", rdsadmin, "READ_ONLY")
    found = platform(lambda statement: [row])
    assert (found.kind, found.is_read_only) == (kind, True)


@pytest.mark.parametrize(
    ("unread_s", "mark", "text"),
    [
        (None, "ok", "4 d: all captured changes have been read"),
        (3 * DAY, "ok", "1 d: the oldest unread change is 3 d old and kept for 4 d"),
        (3 * DAY + HOUR, "warning", "23 h left: the oldest unread change is 3 d 1 h old and kept for 4 d"),
        (4 * DAY, "warning", "none left: the next cleanup removes unread changes: the oldest unread change is 4 d old"),
    ],
)
def test_a_time_to_loss_below_a_quarter_of_the_retention_is_a_warning(
    unread_s: float | None, mark: str, text: str
) -> None:
    found = checks.time_to_loss(TimeToLoss(4 * DAY, unread_s), BOX)
    assert found.mark == mark
    assert found.text.startswith(text)
    assert ("EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 11520;" in found.fix) == (mark != "ok")


def test_without_the_retention_only_the_age_of_the_oldest_change_is_known() -> None:
    found = checks.unknown_time_to_loss(2 * HOUR)
    assert (found.mark, found.text) == ("ok", "unknown without the retention: the oldest unread change is 2 h old")


@pytest.mark.parametrize("where", [BOX, AZURE])
def test_before_the_first_job_there_is_no_table_of_jobs(where: Platform) -> None:
    def missing(statement: str) -> list[object]:
        raise ReadInterrupted("mssql.schema_changed", "Invalid object name 'msdb.dbo.cdc_jobs'. (208)")

    def lost(statement: str) -> list[object]:
        raise ReadInterrupted("mssql.interrupted", "the link is down")

    assert jobs(missing, where) == {}
    assert retention_s(missing, where) is None
    with pytest.raises(ReadInterrupted):
        jobs(lost, where)


def test_latency_from_five_minutes_is_a_warning_and_only_jobs_of_the_agent_are_restarted() -> None:
    assert checks.latency(299, BOX).mark == "ok"
    assert checks.latency(None, BOX).mark == "ok"
    slow = checks.latency(300, BOX)
    assert slow.mark == "warning"
    assert "EXEC sys.sp_cdc_stop_job @job_type = N'capture';" in slow.fix
    assert "sp_cdc_stop_job" not in checks.latency(300, AZURE).fix


def test_several_capture_errors_are_counted_and_the_last_one_is_quoted() -> None:
    first = CaptureError(datetime(2026, 1, 2, 3), 1105, "The filegroup is full.")
    last = CaptureError(datetime(2026, 1, 2, 4), 1205, "Deadlock.")
    assert (
        checks.errors([first, last]).text
        == "2 errors in the last 24 h, the last at 2026-01-02 04:00:00: 1205: Deadlock."
    )


def test_a_job_that_only_cdc_knows_is_created_again() -> None:
    found, *_ = checks.jobs({"capture": CdcJob("capture", 0), "cleanup": CdcJob("cleanup", 4320)}, BOX)
    assert found.mark == "warning"
    assert found.fix.splitlines()[1:] == [
        "EXEC sys.sp_cdc_drop_job @job_type = N'capture';",
        "EXEC sys.sp_cdc_add_job @job_type = N'capture';",
    ]


def test_names_are_quoted_in_the_statements() -> None:
    (denied,) = checks.jobs(Denied("no SELECT"), BOX)
    assert "CREATE USER [Ann's] FOR LOGIN [Ann's];" in denied.fix
    assert "GRANT VIEW DATABASE STATE TO [ann]]];" in checks.state_denied(Denied("no"), BOX).fix
    disabled = CdcJob("cleanup", 4320, "cdc.Shop's_cleanup", is_enabled=False, is_running=False)
    _, cleanup, _ = checks.jobs({"cleanup": disabled}, BOX)
    assert cleanup.fix == "EXEC msdb.dbo.sp_update_job @job_name = N'cdc.Shop''s_cleanup', @enabled = 1;"


def test_azure_needs_only_the_schema_of_the_database_for_its_jobs() -> None:
    (denied,) = checks.jobs(Denied("no SELECT"), AZURE)
    assert denied.fix.splitlines()[1:] == ["GRANT SELECT ON SCHEMA::cdc TO [ann]]];"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.6, "1 min"), (3661, "1 h 1 min"), (2 * DAY + 5, "2 d 5 s"), (-3, "0 s")]
)
def test_spans_have_their_two_largest_units(seconds: float, text: str) -> None:
    assert checks.span(seconds) == text


@pytest.mark.parametrize(("kib", "text"), [(8, "8 KiB"), (1536, "1.5 MiB"), (20_000_000, "19 GiB"), (2**31, "2.0 TiB")])
def test_sizes_are_rounded_to_their_unit(kib: int, text: str) -> None:
    assert checks.change_tables(ChangeTableSizes(1, 1204, kib)).text == f"1 change table, 1,204 rows, {text}"
