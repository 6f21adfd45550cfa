"""Conforms to the protocol."""

from counting import DeadLetters

DeadLetters().run()
