"""What a name in an expression can stand for: a value, or a namespace whose members are evaluated on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dstream.config.values.sensitive import Sensitive
from dstream.config.values.values import Value

if TYPE_CHECKING:
    from typing_extensions import TypeIs


class MemberLookup(Protocol):
    """A namespace whose members are evaluated on demand: `var`, `local`, `task`."""

    def member(self, name: str, at: int) -> Value | MemberLookup: ...

    def whole(self, at: int) -> Value: ...


class Names(Protocol):
    """Resolves the names in an expression."""

    def resolve(self, name: str, at: int) -> Value | MemberLookup: ...


def is_value(found: Value | MemberLookup) -> TypeIs[Value]:
    return found is None or isinstance(found, (bool, int, float, str, list, dict, Sensitive))


def settled(found: Value | MemberLookup, at: int) -> Value:
    """Return the value, or the whole namespace as an object."""
    return found if is_value(found) else found.whole(at)
