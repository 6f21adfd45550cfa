"""All functions of the language, but `try`, which is part of evaluation."""

from __future__ import annotations

from dstream.config.function_table import Functions
from dstream.config.functions_of_surroundings import functions_of_surroundings
from dstream.config.functions_of_values import FUNCTIONS_OF_VALUES
from dstream.config.surroundings import Surroundings


def functions(around: Surroundings) -> Functions:
    return {**FUNCTIONS_OF_VALUES, **functions_of_surroundings(around)}
