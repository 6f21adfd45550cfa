"""The wire of the sandbox's SQL Server: TDS 7.3 and 7.4 over one socket, as [MS-TDS] describes it.

`connection.serve` is the entry point. Everything that needs SQL goes through the seam of `..session`.
"""
