"""Repairs a file backend after the engine was killed while writing.

The engine replaces its record atomically, but writes the small `.attrs` file next to it in place (gocloud.dev,
blob/fileblob/attrs.go). If killed at that moment, it leaves an empty file, and reading the record fails: "failed to
load checkpoint: EOF". Deleting the file fixes that.
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
"""Maximum time that a running engine takes to write the file."""


def remove_torn(place: StackLocation) -> bool:
    """Delete an incomplete `.attrs` file that no running engine may be writing. Return whether there was one."""
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
