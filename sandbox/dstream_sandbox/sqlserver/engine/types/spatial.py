"""The CLR types hierarchyid, geometry and geography: conversion from and to text, and the methods that the sandbox
supports."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from dstream_sandbox.sqlserver.engine.types import hierarchy, names, shapes
from dstream_sandbox.sqlserver.values import SqlType

_TEXT = SqlType("nvarchar", 4000, collation=names.DEFAULT_COLLATION)
_HIERARCHY = names.make_type("hierarchyid")


def clr_text(type_name: str, value: bytes) -> str:
    """ToString()."""
    return hierarchy.text(value) if type_name == "hierarchyid" else shapes.text(value, type_name)


def clr_parse(type_name: str, text: str) -> bytes:
    """Parse()."""
    return hierarchy.parse(text) if type_name == "hierarchyid" else shapes.parse(text, type_name)


def parser_with_srid(type_name: str) -> Callable[[str | None, int | None], bytes | None]:
    def parse(text: str | None, srid: int | None) -> bytes | None:
        return None if text is None or srid is None else shapes.parse(text, type_name, srid)

    return parse


def point_maker(type_name: str) -> Callable[..., bytes | None]:
    """geometry::Point(x, y, srid) and geography::Point(lat, long, srid)."""

    def make(first: float | None, second: float | None, srid: float | None) -> bytes | None:
        if first is None or second is None or srid is None:
            return None
        position = (second, first) if type_name == "geography" else (first, second)
        return shapes.encode(shapes.Shape(1, ((position,),)), int(srid), swapped=type_name == "geography")

    return make


def _of_value(function: Callable[[bytes], Any]) -> Callable[..., Any]:
    return lambda value, *_: None if value is None else function(value)


def _coordinate(type_name: str, index: int) -> Callable[..., Any]:
    def read(value: bytes) -> float | None:
        found = shapes.point(value, type_name)
        return None if found is None else found[index]

    return _of_value(read)


def _srid(value: bytes) -> int:
    return int(struct.unpack_from("<i", value)[0])


def _shape_methods(type_name: str) -> dict[tuple[str, str], tuple[SqlType, Callable[..., Any]]]:
    as_text = (names.NVARCHAR_MAX, _of_value(lambda v: shapes.text(v, type_name)))
    found: dict[str, tuple[SqlType, Callable[..., Any]]] = {
        "tostring": as_text,
        "stastext": as_text,
        "astextzm": as_text,
        "stsrid": (names.INT, _of_value(_srid)),
        "stgeometrytype": (_TEXT, _of_value(lambda v: shapes.kind_name(v, type_name))),
        "stnumpoints": (names.INT, _of_value(lambda v: len(shapes.positions(v, type_name)))),
    }
    if type_name == "geometry":
        found |= {"stx": (names.FLOAT, _coordinate(type_name, 0)), "sty": (names.FLOAT, _coordinate(type_name, 1))}
    else:
        found |= {"long": (names.FLOAT, _coordinate(type_name, 0)), "lat": (names.FLOAT, _coordinate(type_name, 1))}
    return {(type_name, name): method for name, method in found.items()}


METHODS: dict[tuple[str, str], tuple[SqlType, Callable[..., Any]]] = {
    ("hierarchyid", "tostring"): (_TEXT, _of_value(hierarchy.text)),
    ("hierarchyid", "getlevel"): (names.SMALLINT, hierarchy.level),
    ("hierarchyid", "getancestor"): (_HIERARCHY, hierarchy.ancestor),
    ("hierarchyid", "isdescendantof"): (names.BIT, hierarchy.is_descendant),
    ("hierarchyid", "getdescendant"): (_HIERARCHY, hierarchy.descendant),
    ("hierarchyid", "getreparentedvalue"): (_HIERARCHY, hierarchy.reparented),
    **_shape_methods("geometry"),
    **_shape_methods("geography"),
}
"""(type, lower-case method) to its result type and a function of stored values."""
