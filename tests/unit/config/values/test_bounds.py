"""A configuration is checked in bounded time, whatever it contains."""

from __future__ import annotations

import difflib
import signal
from typing import Any

import pytest

from dstream.config.hcl.parse import parse_expression
from dstream.config.hcl.problem import Problem, did_you_mean
from dstream.config.values import functions_of_text
from dstream.config.values.evaluate import Evaluator
from dstream.config.values.functions import FUNCTIONS_OF_VALUES

NO_NAMES: Any = None
MANY = [f"local_{number}" for number in range(5000)]


@pytest.mark.parametrize("call", ['regex("(a+)+b", {})', 'regexall("(a|a)*b", {})', 'replace({}, "/(a|aa)+$/", "")'])
def test_a_search_that_would_take_years_is_an_error(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions_of_text, "_SEARCH_S", 0.02)
    before = signal.getsignal(signal.SIGVTALRM)
    expression = parse_expression(call.format(f'"{"a" * 60}c"'))
    with pytest.raises(Problem, match="simplify the regular expression"):
        Evaluator(NO_NAMES, FUNCTIONS_OF_VALUES).evaluate(expression)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) is before


def test_a_wrong_name_is_compared_with_few_of_many_known_names(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    get_close_matches = difflib.get_close_matches

    def counted(name: str, names: list[str], n: int, cutoff: float) -> list[str]:
        compared.append(len(names))
        return get_close_matches(name, names, n, cutoff)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    assert did_you_mean("local_3200x", MANY) == 'Did you mean "local_3200"?'
    assert did_you_mean("zzz", MANY) == ""
    assert did_you_mean("LOCAL_4999", MANY) == 'Did you mean "local_4999"?'
    assert max(compared) <= 128
