"""The update plan that `plan` keeps for the `init` that follows at once, which then need not preview again.

The two are separate processes, and the file is theirs alone: its digest is in the plan document.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from dstream.infra.engine.scratch import private_file

_VALID_S = 60.0
"""How long nobody checks whether the actual state has changed since the preview."""
_SECRET = b"1b47061264138c4ac30d75fd1eb44270"
"""Marks an encrypted value (pulumi/sdk/go/common/resource/sig)."""


def keep(update_plan: Path, work_dir: Path, *, is_of_temporary_stack: bool) -> str:
    """Move the update plan into the work folder, and return its digest.

    Return "" if its secrets are encrypted for a temporary stack: no other can decrypt them.
    """
    content = update_plan.read_bytes()
    if is_of_temporary_stack and _SECRET in content:
        return ""
    os.replace(update_plan, _kept(work_dir))
    return hashlib.sha256(content).hexdigest()


def take(digest: str, work_dir: Path, to: Path) -> bool:
    """Move the update plan to the file `to`. Return False if it is gone, too old, or not the one with this digest."""
    try:
        os.replace(_kept(work_dir), to)
    except FileNotFoundError:
        return False
    is_file = to.is_file() and not to.is_symlink()
    is_fresh = is_file and time.time() - to.stat().st_mtime < _VALID_S
    if is_fresh and hashlib.sha256(to.read_bytes()).hexdigest() == digest:
        return True
    to.unlink()  # the engine would write through a symbolic link
    private_file(to.parent, to.name)
    return False


def _kept(work_dir: Path) -> Path:
    return work_dir / "kept-plan.json"
