"""The binaries of references on this machine.

The layout is that of the original DStream (katasec/dstream, pkg/orasfetch/fetch.go): NAME/VERSION/PLATFORM/plugin in
`~/.dstream/plugins`. That path names neither the registry nor the owner, so two references can share it. A file is
therefore used only if it has the digest that is asked for, and is never replaced: a second binary of the same name and
version is stored below, PLATFORM/DIGEST/plugin. So a program that was checked stays what it was until it starts.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from dstream.errors import of_os_error
from dstream.plugins._lock_file import Pin, read_lock, write_lock
from dstream.private_files import make_private_folder, sync_folder
from dstream.registry import Reference


class PluginStore:
    """The binaries and the pins of references without a lock file. Methods raise SystemFault."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._root = Path(environ.get("HOME") or Path.home()) / ".dstream" / "plugins"

    def binary(self, reference: Reference, platform: str, digest: str) -> Path | None:
        """Return the file with this digest; None if it is not installed."""
        return next((path for path in self._places(reference, platform, digest) if _digest_of(path) == digest), None)

    def add(self, reference: Reference, platform: str, digest: str, content: Iterable[bytes]) -> Path:
        """Store a binary. `content` raises an error if it does not have this digest."""
        first, second = self._places(reference, platform, digest)
        try:
            with _draft(first.parent, content) as draft:
                try:
                    os.link(draft, first)  # unlike a rename, it replaces nothing
                    target = first
                except OSError as error:
                    if error.errno not in (errno.EEXIST, errno.EPERM, errno.EOPNOTSUPP):
                        raise
                    make_private_folder(second.parent)
                    os.replace(draft, second)
                    target = second
            sync_folder(target.parent)
        except OSError as error:
            raise of_os_error(error, f"cannot write {error.filename or first}") from error
        return target

    def pin(self, reference: Reference) -> Pin | None:
        """Return what the reference stood for when it was first installed without a lock file."""
        return (read_lock(self._pin_file(reference)) or {}).get(str(reference))

    def remember(self, reference: Reference, pin: Pin) -> None:
        write_lock(self._pin_file(reference), {str(reference): pin}, is_private=True)

    def _places(self, reference: Reference, platform: str, digest: str) -> tuple[Path, Path]:
        folder = self._root / reference.name / reference.version / platform
        name = "plugin.exe" if platform.startswith("windows_") else "plugin"
        return folder / name, folder / digest.replace(":", "-") / name

    def _pin_file(self, reference: Reference) -> Path:
        name = hashlib.sha256(str(reference).encode()).hexdigest()[:16]  # a whole reference can be too long for a name
        return self._root / reference.name / reference.version / f"{name}.lock.hcl"


@contextlib.contextmanager
def _draft(folder: Path, content: Iterable[bytes]) -> Iterator[Path]:
    """Write an executable file, durably; it is gone at the end unless it was renamed."""
    make_private_folder(folder)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=".new")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in content:
                file.write(chunk)
            file.flush()
            os.fchmod(file.fileno(), 0o700)
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _digest_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            return _digest(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise of_os_error(error, f"cannot read {path}") from error


@lru_cache(maxsize=256)
def _digest(path: Path, *_: int) -> str:
    """Hash the file; its identity, size and times are part of the key, since a command asks several times."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
