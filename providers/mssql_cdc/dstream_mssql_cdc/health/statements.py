"""The statements about the health of capture. All are reads.

Each is a statement of its own, because each needs another permission: `facts.py` goes on without those that are denied.
"""

from __future__ import annotations

# "SERVERPROPERTY": EngineEdition is 5 for Azure SQL Database, 8 for Managed Instance, 12 for SQL database in Fabric.
# Every Amazon RDS instance has the database rdsadmin ("Amazon RDS for SQL Server", system databases).
PLATFORM = """\
SELECT CONVERT(int, SERVERPROPERTY(N'EngineEdition')), CONVERT(nvarchar(128), SERVERPROPERTY(N'ProductVersion')),
       CONVERT(nvarchar(128), SERVERPROPERTY(N'Edition')), COALESCE(SUSER_SNAME(), USER_NAME()), USER_NAME(),
       DB_NAME(), DB_ID(N'rdsadmin'),
       CONVERT(varchar(10), DATABASEPROPERTYEX(DB_NAME(), N'Updateability'));"""

# "dbo.cdc_jobs", in msdb; in Azure SQL Database, cdc.cdc_jobs ("Change data capture with Azure SQL Database"). No page
# names a permission to read it, and sys.sp_cdc_help_jobs needs db_owner: SELECT on the table.
RETENTION = "SELECT retention FROM msdb.dbo.cdc_jobs WHERE job_type = N'cleanup' AND database_id = DB_ID();"
AZURE_RETENTION = "SELECT retention FROM cdc.cdc_jobs WHERE job_type = N'cleanup';"

# "dbo.sysjobs", "dbo.sysjobactivity": a job runs if its activity in the latest session has a start and no stop.
JOBS = """\
SELECT c.job_type, c.retention, s.name, s.enabled, a.start_execution_date, a.stop_execution_date
FROM msdb.dbo.cdc_jobs AS c
LEFT JOIN msdb.dbo.sysjobs AS s ON s.job_id = c.job_id
LEFT JOIN msdb.dbo.sysjobactivity AS a ON a.job_id = c.job_id
WHERE c.database_id = DB_ID() ORDER BY a.session_id;"""
AZURE_JOBS = "SELECT job_type, retention, NULL, NULL, NULL, NULL FROM cdc.cdc_jobs;"

# "sys.dm_cdc_errors", "sys.dm_cdc_log_scan_sessions": VIEW DATABASE STATE; since SQL Server 2022, VIEW DATABASE
# PERFORMANCE STATE, which it includes ("System dynamic management views"). Row 0 of the sessions is an aggregate, and a
# session without an end is active. Both are empty on a secondary, and after a restart of the server.
ERRORS = """\
SELECT entry_time, error_number, error_message FROM sys.dm_cdc_errors
WHERE entry_time >= DATEADD(hour, -24, GETDATE()) ORDER BY entry_time;"""
LATENCY = """\
SELECT TOP (1) latency FROM sys.dm_cdc_log_scan_sessions WHERE session_id > 0 AND end_time IS NOT NULL
ORDER BY session_id DESC;"""

# "sys.dm_db_partition_stats": VIEW DATABASE STATE and VIEW DEFINITION. Pages have 8 KiB. Index 0 or 1 has the rows.
SIZES = """\
SELECT COUNT(DISTINCT object_id), SUM(CASE WHEN index_id < 2 THEN row_count ELSE 0 END), SUM(reserved_page_count) * 8
FROM sys.dm_db_partition_stats WHERE object_id IN (SELECT object_id FROM cdc.change_tables);"""

# When the oldest transaction that has not been read ended, and what time it is, both in the server's local time.
OLDEST_UNREAD = """\
SELECT TOP (1) tran_end_time, GETDATE() FROM cdc.lsn_time_mapping WHERE start_lsn >= CONVERT(binary(10), ?)
ORDER BY start_lsn;"""

ALL = (PLATFORM, RETENTION, AZURE_RETENTION, JOBS, AZURE_JOBS, ERRORS, LATENCY, SIZES, OLDEST_UNREAD)
