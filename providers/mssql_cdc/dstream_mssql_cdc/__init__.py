"""The input provider mssql_cdc: SQL Server change data capture, read by LSN."""
