"""The connection to SQL Server, and every statement that the provider sends."""
