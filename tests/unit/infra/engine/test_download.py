"""The Pulumi CLI is installed only from an archive with the SHA-256 that DStream knows, by both installers."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from dstream.infra.engine.checksums import ENGINE_DIGESTS
from dstream.infra.engine.cli import ENGINE_VERSION
from dstream.infra.engine.download import DownloadError, download_engine
from tests.running import wait_until

ROOT = Path(__file__).parents[4]
PROGRAM = b"#!/bin/sh\necho v3\n"


class Release:
    """A release in a folder, for this platform."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.digests = folder / "digests"
        system, machine = os.uname().sysname.lower(), os.uname().machine
        arch = "x64" if machine in ("x86_64", "amd64") else "arm64"
        self.archive = folder / f"pulumi-v{ENGINE_VERSION}-{system}-{arch}.tar.gz"
        self.pack("pulumi/pulumi", "pulumi/pulumi-language-python", "pulumi/../../outside", "other/pulumi")
        self.list(hashlib.sha256(self.archive.read_bytes()).hexdigest())

    def pack(self, *names: str) -> None:
        with tarfile.open(self.archive, "w:gz") as content:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(PROGRAM), 0o755
                content.addfile(member, io.BytesIO(PROGRAM))

    def list(self, digest: str) -> None:
        self.digests.write_text(f"{'0' * 64}  other.tar.gz\n{digest}  {self.archive.name}\n")

    def fetch(self, url: str, to: Path) -> None:
        assert url.startswith(f"https://github.com/pulumi/pulumi/releases/download/v{ENGINE_VERSION}/")
        to.write_bytes((self.folder / url.rpartition("/")[2]).read_bytes())


@pytest.fixture
def release(tmp_path: Path) -> Release:
    (tmp_path / "release").mkdir()
    return Release(tmp_path / "release")


def test_a_listed_archive_is_installed_and_only_its_programs(tmp_path: Path, release: Release) -> None:
    folder = tmp_path / "own" / "v3"
    (folder / "bin").mkdir(parents=True)  # left by an interrupted installation
    download_engine(ENGINE_VERSION, folder, release.fetch, release.digests)
    assert {each.name for each in (folder / "bin").iterdir()} == {"pulumi", "pulumi-language-python"}
    assert (folder / "bin" / "pulumi").stat().st_mode & stat.S_IXUSR
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("digest", ["1" * 64, ""], ids=["another", "none"])
def test_an_archive_with_another_or_no_digest_is_not_installed(tmp_path: Path, release: Release, digest: str) -> None:
    release.list(digest)
    with pytest.raises(DownloadError, match="SHA-256"):
        download_engine(ENGINE_VERSION, tmp_path / "own" / "v3", release.fetch, release.digests)
    assert not any(tmp_path.glob("own/*"))


def test_the_digests_of_all_platforms_are_those_of_the_tested_version() -> None:
    listed = [line.split("  ") for line in ENGINE_DIGESTS.read_text().splitlines()]
    platforms = ("darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64")
    assert [name for _, name in listed] == [f"pulumi-v{ENGINE_VERSION}-{each}.tar.gz" for each in platforms]
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest, _ in listed)


@pytest.mark.parametrize("is_listed", [True, False])
def test_the_script_installs_only_a_listed_archive(tmp_path: Path, release: Release, is_listed: bool) -> None:
    release.pack("pulumi/pulumi")
    release.list(hashlib.sha256(release.archive.read_bytes()).hexdigest() if is_listed else "1" * 64)
    checkout = tmp_path / "checkout"
    (checkout / "dstream" / "infra" / "engine").mkdir(parents=True)
    (checkout / "dstream" / "infra" / "engine" / ENGINE_DIGESTS.name).write_text(release.digests.read_text())
    (checkout / "tools" / "pulumi").mkdir(parents=True)
    for name in ("install-pulumi", "pulumi/go.mod"):
        shutil.copy(ROOT / "tools" / name, checkout / "tools" / name)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "curl").write_text(f'#!/bin/sh\ncp "{release.folder}/${{2##*/}}" .\n')
    (tools / "curl").chmod(0o755)
    found = ["sh", "sed", "mkdir", "mktemp", "rm", "mv", "tar", "gzip", "grep", "uname", "tr", "dirname", "cp"]
    for name in [*found, "sha256sum", "shasum"]:
        path = next((each for each in (Path("/usr/bin", name), Path("/bin", name)) if each.exists()), None)
        if path is not None:
            (tools / name).symlink_to(path)
    done = subprocess.run(
        [checkout / "tools" / "install-pulumi"],
        env={"PATH": str(tools), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is is_listed, done.stderr
    assert [each.name for each in (tmp_path / ".dstream").rglob("pulumi") if each.is_file()] == ["pulumi"] * is_listed
    assert not list((tmp_path / ".dstream").rglob(".download*"))


@pytest.mark.skipif(shutil.which("flock") is None, reason="without flock(1), as on macOS, each builds it")
def test_two_installations_at_the_same_time_build_the_engine_once(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "go").write_text(
        '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho built >>"$HOME/builds"\n'
        'until [ -e "$HOME/proceed" ]; do sleep 0.02; done\necho >"$2"\nchmod +x "$2"\n'
    )
    (tools / "go").chmod(0o755)
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(tmp_path)}
    script = ROOT / "tools" / "install-pulumi"

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen([script], env=environment, stderr=subprocess.PIPE, text=True)

    with start() as first:
        wait_until((tmp_path / "builds").exists, "the build")
        with start() as second:
            assert second.stderr is not None
            said = second.stderr.readline()
            (tmp_path / "proceed").touch()
    assert said.startswith("Waiting for another installation of the Pulumi CLI")
    assert (first.returncode, second.returncode) == (0, 0)
    assert (tmp_path / "builds").read_text() == "built\n"
