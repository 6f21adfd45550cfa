"""A disk that loses what is not synced: which contents a folder can have after a power loss, as POSIX allows.

fsync(2) makes a file's content durable, but not its name; syncing the folder does that. Until then, each change of a
name (create, rename, unlink, mkdir) can be on the disk or not, in any combination; a rename is there as a whole or not.
Content that is not synced can be missing, there, cut off, or be zeros of the right length.

The method is that of Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Literal

Unsynced = Literal["missing", "there", "cut off", "zeros"]
UNSYNCED: tuple[Unsynced, ...] = ("missing", "there", "cut off", "zeros")
Files = dict[str, bytes]
"""Contents by path."""
_MOST_COMBINED = 6
"""Every subset of so many pending changes is tried; the ones before them are all lost or all there."""


@dataclass(eq=False)
class _File:
    durable: bytes = b""
    now: bytes = b""

    def content(self, unsynced: Unsynced) -> bytes:
        if unsynced == "there" or self.now == self.durable:
            return self.now
        if unsynced == "missing":
            return self.durable
        kept = self.durable if self.now.startswith(self.durable) else b""  # appended to, or overwritten
        new = self.now[len(kept) :]
        return kept + (new[: len(new) // 2] if unsynced == "cut off" else bytes(len(new)))


@dataclass(eq=False)
class _Folder:
    durable: dict[str, _Entry] = field(default_factory=dict)
    now: dict[str, _Entry] = field(default_factory=dict)


_Entry = _File | _Folder
_Change = Sequence[tuple[_Folder, str, _Entry | None]]
"""A change of names that is made as a whole: the folder, the name and its new entry, None if it is removed."""


class Disk:
    """The content of the folder `root`. Everything that is there at first is durable."""

    def __init__(self, root: Path) -> None:
        self._path = str(root)
        self._root = _durable(root)
        self._open: dict[str, _Entry] = {}
        self._pending: list[_Change] = []
        self.said: list[bytes] = []
        """The acks so far."""

    @property
    def files(self) -> Files:
        """The files as processes see them."""
        return dict(_found(self._root, {}, "there", is_now=True))

    def after_loss(self) -> Iterator[Files]:
        """Yield what the files can be if the power is lost now; often the same more than once."""
        last = self._pending[-_MOST_COMBINED:]
        before = self._pending[: len(self._pending) - len(last)]
        for first in (before, []) if before else ([],):
            for choice in product([True, False], repeat=len(last)):
                kept = [*first, *(each for each, is_kept in zip(last, choice, strict=True) if is_kept)]
                changed: dict[_Folder, dict[str, _Entry]] = {}
                for folder, name, entry in (part for change in kept for part in change):
                    _set(changed.setdefault(folder, dict(folder.durable)), name, entry)
                for unsynced in UNSYNCED:
                    yield dict(_found(self._root, changed, unsynced))

    def call(self, name: str, *arguments: str) -> None:
        """Apply a call of the record (recorder.c)."""
        getattr(self, f"on_{name}")(*arguments)

    def on_open(self, file: str, flags: str, path: str) -> None:
        folder, name = self._place(path)
        entry = folder.now.get(name) if name else folder
        if entry is None:
            entry = _File()
            self._change((folder, name, entry))
        if int(flags) & os.O_TRUNC and isinstance(entry, _File):
            entry.now = b""
        self._open[file] = entry

    def on_close(self, file: str) -> None:
        self._open.pop(file, None)

    def on_write(self, file: str, at: str, data: str) -> None:
        entry, start, new = self._file(file), int(at), bytes.fromhex(data)
        entry.now = entry.now[:start].ljust(start, b"\0") + new + entry.now[start + len(new) :]

    def on_truncate(self, file: str, length: str) -> None:
        entry = self._file(file)
        entry.now = entry.now[: int(length)].ljust(int(length), b"\0")

    def on_fsync(self, file: str) -> None:
        entry = self._open[file]
        if isinstance(entry, _File):
            entry.durable = entry.now
            return
        for change in [each for each in self._pending if any(folder is entry for folder, _, _ in each)]:
            self._pending.remove(change)
            for folder, name, target in change:
                _set(folder.durable, name, target)

    def on_rename(self, old: str, new: str) -> None:
        (source, name), (target, new_name) = self._place(old), self._place(new)
        self._change((target, new_name, source.now[name]), (source, name, None))

    def on_link(self, old: str, new: str) -> None:
        (source, name), (target, new_name) = self._place(old), self._place(new)
        self._change((target, new_name, source.now[name]))

    def on_unlink(self, path: str) -> None:
        folder, name = self._place(path)
        if name in folder.now:  # a socket is not in the record
            self._change((folder, name, None))

    def on_mkdir(self, path: str) -> None:
        self._change((*self._place(path), _Folder()))

    def on_said(self, text: str) -> None:
        self.said += bytes.fromhex(text).splitlines()

    def _change(self, *parts: tuple[_Folder, str, _Entry | None]) -> None:
        self._pending.append(parts)
        for folder, name, entry in parts:
            _set(folder.now, name, entry)

    def _file(self, file: str) -> _File:
        entry = self._open[file]
        assert isinstance(entry, _File)
        return entry

    def _place(self, path: str) -> tuple[_Folder, str]:
        """Return the folder that a path is in, and its name there; empty for the root."""
        *parents, name = [each for each in os.path.relpath(path, self._path).split("/") if each != "."] or [""]
        folder = self._root
        for each in parents:
            found = folder.now[each]
            assert isinstance(found, _Folder)
            folder = found
        return folder, name


def _durable(path: Path) -> _Folder:
    folder = _Folder()
    for each in path.iterdir():
        if each.is_dir():
            folder.now[each.name] = _durable(each)
        elif each.is_file():
            folder.now[each.name] = _File(each.read_bytes(), each.read_bytes())
    folder.durable = dict(folder.now)
    return folder


def _set(entries: dict[str, _Entry], name: str, entry: _Entry | None) -> None:
    entries.pop(name, None)
    if entry is not None:
        entries[name] = entry


def _found(
    folder: _Folder,
    changed: dict[_Folder, dict[str, _Entry]],
    unsynced: Unsynced,
    prefix: str = "",
    *,
    is_now: bool = False,
) -> Iterator[tuple[str, bytes]]:
    """Yield the files in a folder. `changed`: entries to use instead of the durable ones."""
    for name, entry in (folder.now if is_now else changed.get(folder, folder.durable)).items():
        if isinstance(entry, _File):
            yield prefix + name, entry.content(unsynced)
        else:
            yield from _found(entry, changed, unsynced, f"{prefix}{name}/", is_now=is_now)
