"""Keeps to the protocol."""

from counting import Output

Output().run()
