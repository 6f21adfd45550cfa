"""Resolves names: `var.x`, `local.x`, bare locals and `task.x`, each evaluated on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dstream.config.hcl.problem import Problem, did_you_mean
from dstream.config.hcl.source import SourceFile
from dstream.config.hcl.syntax import Expression
from dstream.config.values.evaluate import Evaluator, FailedOutside
from dstream.config.values.function_table import Functions
from dstream.config.values.names import MemberLookup, settled
from dstream.config.values.values import Value
from dstream.errors import ConfigError, ConfigErrors, SourceLocation


class NamedValue:
    """A named value or its error, computed once. `trail` holds the values being computed. While only a type is
    wanted (`is_tentative`), a cycle is not final, because the value may never be needed."""

    def __init__(
        self,
        name: str,
        place: SourceLocation,
        compute: Callable[[], Value],
        trail: list[NamedValue],
        is_tentative: Callable[[], bool],
    ) -> None:
        self.name = name
        self.place = place
        self._compute = compute
        self._trail = trail
        self._is_tentative = is_tentative
        self._value: Value = None
        self._error: ConfigError | ConfigErrors | None = None
        self._is_known = False

    def value(self) -> Value:
        """Return the value. Raises ConfigError or ConfigErrors."""
        if self._error is not None:
            raise self._error
        if not self._is_known:
            self._work_out()
        return self._value

    def _work_out(self) -> None:
        if self in self._trail:
            raise self._cycle()
        self._trail.append(self)
        try:
            self._value = self._compute()
            self._is_known = True
        except (ConfigError, ConfigErrors) as error:
            if not self._is_tentative() or all(each.code != "config.cycle" for each in error.errors):
                self._error = error
            raise
        finally:
            self._trail.pop()

    def _cycle(self) -> ConfigError:
        members = self._trail[self._trail.index(self) :]
        round_trip = " → ".join(member.name for member in [*members, self])
        return ConfigError(
            "config.cycle",
            f"{self.name} is defined in terms of itself: {round_trip}",
            place=self.place,
            details=[f"{member.name} is defined at {member.place}" for member in members],
        )


class Group:
    """A namespace with these members; `kind` is their name in messages: 'unknown variable "x"'."""

    def __init__(self, kind: str, members: Mapping[str, NamedValue | Value | MemberLookup]) -> None:
        self.kind = kind
        self.members = members

    def member(self, name: str, at: int) -> Value | MemberLookup:
        if name not in self.members:
            raise Problem("config.undefined", f'unknown {self.kind} "{name}"', at, did_you_mean(name, self.members))
        found = self.members[name]
        return found.value() if isinstance(found, NamedValue) else found

    def whole(self, at: int) -> Value:
        return {name: settled(self.member(name, at), at) for name in self.members}


class Scope:
    """All names of a project. Filled while the blocks are read, then used for evaluation."""

    def __init__(self, functions: Functions) -> None:
        self.trail: list[NamedValue] = []
        self.variables: dict[str, NamedValue] = {}
        self.locals: dict[str, NamedValue] = {}
        self.written_locals: dict[str, tuple[SourceFile, Expression]] = {}
        self.tasks: dict[str, Value | MemberLookup] = {}
        self._roots: dict[str, MemberLookup] = {
            "var": Group("variable", self.variables),
            "local": Group("local", self.locals),
            "task": Group("task", self.tasks),
        }
        self._evaluator = Evaluator(self, functions)

    def define(self, name: str, place: SourceLocation, compute: Callable[[], Value]) -> NamedValue:
        return NamedValue(name, place, compute, self.trail, lambda: self._evaluator.is_tentative)

    def evaluate(self, source: SourceFile, expression: Expression, block: str = "") -> Value:
        """Return the expression's value. Raises ConfigError, AuthError or UnreachableError, each with its place, and
        Unread."""
        try:
            return self._evaluator.evaluate(expression)
        except FailedOutside as failed:
            failed.error.place = source.place(failed.at, block)
            raise failed.error from None
        except Problem as problem:
            raise source.error(problem, block) from None
        except RecursionError:
            raise source.error(Problem("config.syntax", "nested too deeply", expression.at), block) from None

    def resolve(self, name: str, at: int) -> Value | MemberLookup:
        if name in self._roots:
            return self._roots[name]
        if name in self.locals:
            return self.locals[name].value()
        hint = did_you_mean(name, [*self.locals, *self._roots]) or f'Text needs quotes: "{name}".'
        raise Problem("config.undefined", f'unknown local "{name}"', at, hint)
