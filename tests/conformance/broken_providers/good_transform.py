"""A transform without a fault."""

from counting import Transform

Transform().run()
