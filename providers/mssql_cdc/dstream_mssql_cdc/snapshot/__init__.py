"""Snapshots: reading the rows that a table already has, in chunks, while its changes are streamed."""
