"""A system procedure's arguments, which clients pass by name or by position."""

from __future__ import annotations

from collections.abc import Sequence

from dstream_sandbox.sqlserver.session import Param, SqlError


class Arguments:
    """Arguments, taken one after another in the order in which the procedure declares them."""

    def __init__(self, params: Sequence[Param]) -> None:
        self._params = list(params)

    def take(self, *names: str) -> Param | None:
        """Return the next argument by position, else the one with one of these names; None if there is none.

        Position comes first, because a statement can itself have a parameter named @params.
        """
        if self._params and not self._params[0].name:
            return self._params.pop(0)
        for position, param in enumerate(self._params):
            if param.name.lower() in names:
                return self._params.pop(position)
        return None

    def skip(self, *names: str) -> None:
        """Skip an output argument whose incoming value has no meaning."""
        self.take(*names)

    def text(self, *names: str, optional: bool = False) -> str:
        """Return a text argument. Raises SqlError 214 if it is not text, or missing and not optional."""
        param = self.take(*names)
        if param is not None and isinstance(param.value, str):
            return param.value
        if optional and (param is None or param.value is None):
            return ""
        raise SqlError(214, f"Procedure expects parameter '{names[0]}' of type 'ntext/nchar/nvarchar'.", state=2)

    def integer(self, *names: str, default: int | None = None) -> int:
        """Return an integer argument. Raises SqlError 214 if it is not an integer, or missing without a default."""
        param = self.take(*names)
        if param is not None and isinstance(param.value, int):
            return param.value
        if default is not None and (param is None or param.value is None):
            return default
        raise SqlError(214, f"Procedure expects parameter '{names[0]}' of type 'int'.", state=2)

    def rest(self) -> list[Param]:
        """Return the remaining arguments."""
        return self._params
