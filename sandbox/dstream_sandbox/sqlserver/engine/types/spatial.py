"""hierarchyid, geometry and geography: text to the CLR serialisation and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import SqlType


def clr_text(type_name: str, value: bytes) -> str:
    """ToString()."""
    raise SqlError(40515, f"The sandbox does not support {type_name} as text.")


def clr_parse(type_name: str, text: str) -> bytes:
    """Parse()."""
    raise SqlError(40515, f"The sandbox does not support {type_name} from text.")


METHODS: dict[tuple[str, str], tuple[SqlType, Callable[..., Any]]] = {}


def parser_with_srid(type_name: str) -> Callable[[str | None, int | None], bytes | None]:
    raise SqlError(40515, f"The sandbox does not support {type_name} from text.")


def point_maker(type_name: str) -> Callable[..., bytes | None]:
    raise SqlError(40515, f"The sandbox does not support {type_name} points.")
