"""Files that only this user can read. No symbolic link is followed: a checkout may come with planted ones.

A path whose folder is `.dstream` or below it is DStream's own: there, no folder may be a symbolic link either. Links
above it are the user's, such as a home folder on another disk.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

OWN_FOLDER = ".dstream"
_IS_LINK = "it is a symbolic link, which DStream does not follow; remove the link"


def make_private_folder(folder: Path) -> None:
    """Create the folder and its missing parents, durably and with mode 0700. Git ignores a `.dstream` that it creates.

    Raises OSError.
    """
    _refuse_links(folder)
    for each in reversed([folder, *folder.parents]):
        if each.exists():
            continue
        with contextlib.suppress(FileExistsError):  # created by another command meanwhile
            each.mkdir(mode=0o700)
            if each.name == OWN_FOLDER:
                (each / ".gitignore").write_text("*\n", encoding="utf-8")
        sync_folder(each.parent)  # what is synced inside is lost if its folder's name is


def open_private(path: Path, flags: int) -> int:
    """Open a regular file and return its descriptor; O_CREAT creates it with mode 0600. Raises OSError."""
    _refuse_links(path.parent)
    return _open(path, flags)


def replace_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace the file, or a symbolic link with its name, atomically and durably. Raises OSError and keeps the old
    one."""
    _refuse_links(path.parent)
    draft = path.with_name(f".{_mark(path.name)}-{secrets.token_hex(8)}.new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_drafts(folder: Path, name: str | None = None) -> None:
    """Remove what kills during `replace_private` have left in a folder: of the file `name`, or of all its files.

    Call it only while no other process replaces these files. Raises OSError.
    """
    for draft in folder.glob(f".{'*' if name is None else _mark(name)}-*.new"):
        draft.unlink(missing_ok=True)


def read_secret(path: Path) -> str:
    """Return the text of a file that only this user can read or write, as ssh requires of a private key.

    Raises OSError, whose `strerror` includes the fix.
    """
    with os.fdopen(open_private(path, os.O_RDONLY), encoding="utf-8") as file:
        found = os.fstat(file.fileno())
        if found.st_uid not in (os.geteuid(), 0):
            raise PermissionError(
                errno.EPERM,
                f"it belongs to another user (uid {found.st_uid}); if you trust its content, "
                f"run `chown {os.geteuid()} {path}`",
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise PermissionError(
                errno.EPERM,
                f"other users have access to it (mode {stat.S_IMODE(found.st_mode):04o}); if you trust its content, "
                f"run `chmod 600 {path}`",
            )
        return file.read()


def write_report(path: Path, text: str) -> None:
    """Write a file for others to read, with the mode that the umask gives. Devices such as /dev/stdout are followed.

    Raises OSError.
    """
    if Path(os.path.abspath(path)).parts[1:2] in (("dev",), ("proc",)):
        path.write_text(text, encoding="utf-8")
        return
    with _as_link_error(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def sync_folder(folder: Path) -> None:
    """Make a rename durable (fsync(2): syncing a file does not sync its directory entry). Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mark(name: str) -> str:
    """Tell the drafts of different files apart. A name of its own length could become too long."""
    return hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()


def _open(path: Path, flags: int) -> int:
    with _as_link_error(path):
        # O_NONBLOCK: opening a planted FIFO would wait for its other end.
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file; remove it", str(path))


def _refuse_links(folder: Path) -> None:
    """Raise OSError if a folder from `.dstream` down is a symbolic link."""
    parts = [folder, *folder.parents]
    own = next((index for index, each in enumerate(parts) if each.name == OWN_FOLDER), -1)
    for each in parts[: own + 1]:
        if each.is_symlink():
            raise OSError(errno.ELOOP, f"{each} is a symbolic link, which DStream does not follow", str(each))


@contextlib.contextmanager
def _as_link_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ELOOP:  # open(2), O_NOFOLLOW
            raise OSError(errno.ELOOP, _IS_LINK, str(path)) from error
        raise
