"""Conforms to the protocol."""

from counting import Output

Output().run()
