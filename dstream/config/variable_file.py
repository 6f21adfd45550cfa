"""`--var-file`: values for variables, written as `name = value`, as in Terraform's .tfvars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from dstream.config.body_reader import BodyReader
from dstream.config.complaints import Complaints
from dstream.config.files import parsed
from dstream.config.functions import functions
from dstream.config.scope import Scope
from dstream.config.surroundings import Surroundings, utc_now
from dstream.config.values import Value


def load_variables(
    path: Path, *, environ: Mapping[str, str], now: Callable[[], datetime] = utc_now
) -> dict[str, Value]:
    """The values in the file, for `load(variables=..)`. Raises ConfigErrors."""
    complaints = Complaints()
    values: dict[str, Value] = {}
    with complaints.collecting():
        around = Surroundings(environ, path.parent.absolute(), now)
        source, body = parsed(path, around)
        reader = BodyReader(source, body, "", Scope(functions(around)), complaints)
        reader.check({attribute.name for attribute in body.attributes}, ())
        for attribute in body.attributes:
            with complaints.collecting():
                values[attribute.name] = reader.evaluate(attribute)
    complaints.raise_if_any()
    return values
