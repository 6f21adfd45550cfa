"""Files of DStream are private, and a planted symbolic link is never written through."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from dstream.private_files import make_private_folder, open_private, read_secret, replace_private, write_report

PRECIOUS = "precious"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    file = tmp_path / "victim"
    file.write_text(PRECIOUS)
    file.chmod(0o600)
    return file


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_created_folder_is_private_and_ignored_by_git(tmp_path: Path) -> None:
    folder = tmp_path / ".dstream" / "state" / "dev"
    make_private_folder(folder)
    assert [mode_of(each) for each in (folder, folder.parent, folder.parent.parent)] == [0o700] * 3
    assert (tmp_path / ".dstream" / ".gitignore").read_text() == "*\n"
    assert not (folder / ".gitignore").exists()


def test_a_folder_that_exists_keeps_its_mode_and_gets_no_gitignore(tmp_path: Path) -> None:
    own = tmp_path / ".dstream"
    own.mkdir(mode=0o750)
    make_private_folder(own / "state")
    make_private_folder(tmp_path / "elsewhere" / "state")
    assert mode_of(own) == 0o750
    assert list(tmp_path.rglob(".gitignore")) == []


@pytest.mark.parametrize("linked", [".dstream", ".dstream/state", ".dstream/state/dev"])
def test_no_link_from_the_own_folder_down_is_followed(tmp_path: Path, linked: str) -> None:
    (tmp_path / "other" / "state" / "dev").mkdir(parents=True)
    (tmp_path / linked).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / linked).symlink_to(tmp_path / "other", target_is_directory=True)
    folder = tmp_path / ".dstream" / "state" / "dev"
    for action in (
        lambda: make_private_folder(folder),
        lambda: open_private(folder / "t.lock", os.O_RDWR | os.O_CREAT),
        lambda: replace_private(folder / "t.json", b"{}"),
    ):
        with pytest.raises(OSError, match="is a symbolic link, which DStream does not follow"):
            action()
    assert not [each for each in (tmp_path / "other").rglob("*") if each.is_file()]


def test_a_link_above_the_own_folder_is_the_users_choice(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "project").symlink_to(tmp_path / "disk", target_is_directory=True)
    make_private_folder(tmp_path / "project" / ".dstream" / "state")
    assert (tmp_path / "disk" / ".dstream" / "state").is_dir()


def test_replacing_a_link_leaves_its_target_alone(tmp_path: Path, victim: Path) -> None:
    link = tmp_path / "plan"
    link.symlink_to(victim)
    replace_private(link, b"new")
    assert (link.read_bytes(), victim.read_text()) == (b"new", PRECIOUS)
    assert not link.is_symlink()
    assert mode_of(link) == 0o600


def test_a_failed_replacement_keeps_the_old_file_and_leaves_nothing(
    victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_private(victim, b"half")
    assert [each.name for each in victim.parent.iterdir()] == ["victim"]
    assert victim.read_text() == PRECIOUS


def test_drafts_are_created_exclusively_under_names_that_cannot_be_guessed(
    victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, int]] = []
    real = os.open

    def spy(path: str | Path, flags: int, *rest: int) -> int:
        opened.append((os.fspath(path), flags))
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", spy)
    for _ in range(2):
        replace_private(victim, b"new")
    drafts = [(path, flags) for path, flags in opened if path.endswith(".new")]
    assert len({path for path, _ in drafts}) == 2
    assert all(flags & os.O_EXCL for _, flags in drafts)


@pytest.mark.parametrize(
    "action",
    [
        lambda path: os.close(open_private(path, os.O_RDWR | os.O_CREAT)),
        read_secret,
        lambda path: write_report(path, "report"),
    ],
    ids=["open", "read_secret", "write_report"],
)
def test_a_linked_file_is_refused_and_its_target_kept(
    tmp_path: Path, victim: Path, action: Callable[[Path], object]
) -> None:
    link = tmp_path / "link"
    link.symlink_to(victim)
    with pytest.raises(OSError, match="it is a symbolic link"):
        action(link)
    link.unlink()
    link.symlink_to(tmp_path / "absent")
    with pytest.raises(OSError, match="it is a symbolic link"):
        action(link)
    assert victim.read_text() == PRECIOUS
    assert not (tmp_path / "absent").exists()


def test_a_planted_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(OSError, match="not a regular file"):
        open_private(tmp_path / "fifo", os.O_RDONLY)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o644])
def test_a_secret_that_others_can_reach_is_refused_with_the_fix(victim: Path, mode: int) -> None:
    victim.chmod(mode)
    with pytest.raises(PermissionError, match=f"mode {mode:04o}.*`chmod 600 {victim}`"):
        read_secret(victim)
    victim.chmod(0o400)
    assert read_secret(victim) == PRECIOUS


def test_a_secret_of_another_user_is_refused_with_the_fix(victim: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = victim.stat().st_uid or 4711
    if victim.stat().st_uid == 0:
        os.chown(victim, owner, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(PermissionError, match=rf"uid {owner}\).*`chown {os.geteuid()} "):
        read_secret(victim)


def test_a_report_can_go_to_a_device_and_is_readable_as_the_umask_says(tmp_path: Path) -> None:
    write_report(Path("/dev/null"), "text")
    former = os.umask(0o022)
    try:
        write_report(tmp_path / "plan.md", "long text")
        write_report(tmp_path / "plan.md", "text")
    finally:
        os.umask(former)
    assert (tmp_path / "plan.md").read_text() == "text"
    assert mode_of(tmp_path / "plan.md") == 0o644
