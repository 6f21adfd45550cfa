"""What can be wrong with a rule."""

__all__ = ["FilterError", "FilterSyntaxError"]


class FilterError(Exception):
    """An expression can't be evaluated on this message. The message goes to the subscription's dead-letter sub-queue
    when the subscription says so."""


class FilterSyntaxError(Exception):
    """An expression that the language does not allow; the rule is refused."""
