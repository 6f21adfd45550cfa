"""Errors of rules."""

__all__ = ["FilterError", "FilterSyntaxError"]


class FilterError(Exception):
    """An expression cannot be evaluated for this message. The message is dead-lettered if the subscription specifies
    it."""


class FilterSyntaxError(Exception):
    """An invalid expression; the rule is refused."""
