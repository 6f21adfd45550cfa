"""Conforms to the protocol."""

from provisioning import Infrastructure

Infrastructure().run()
