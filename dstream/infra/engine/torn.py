"""What a killed engine leaves torn in a file backend.

The engine replaces its record as a whole, but writes the small `.attrs` file beside it in place (gocloud.dev,
blob/fileblob/attrs.go). Killed in that moment it leaves an empty one, and no engine reads the record any more: "failed
to load checkpoint: EOF". Without the file it does.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dstream.infra.engine.locks import holders_in

if TYPE_CHECKING:
    from dstream.infra.engine.environment import StackLocation

_WRITTEN_WITHIN_S = 1.0
"""How long a living engine may take to write it."""


def remove_torn(place: StackLocation) -> bool:
    """Whether there was a torn `.attrs` of the stack's record, and nobody at work who may still write it."""
    if place.record_file is None:
        return False
    attributes = place.record_file.with_name(f"{place.record_file.name}.attrs")
    deadline = time.monotonic() + _WRITTEN_WITHIN_S
    while _is_torn(attributes):
        if time.monotonic() > deadline:
            if any(not each.is_dead for each in holders_in(place)):
                return False
            attributes.unlink(missing_ok=True)
            return True
        time.sleep(0.02)
    return False


def _is_torn(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False
