"""Conforms to the protocol."""

from counting import Input

Input().run()
