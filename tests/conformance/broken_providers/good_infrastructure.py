"""Keeps to the protocol."""

from making import Infrastructure

Infrastructure().run()
