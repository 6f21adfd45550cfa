"""The image of examples/container, built by buildah on a base from Debian's packages, run as its users run it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.test_wheels import build_wheels

BUILDAH = {**os.environ, "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
CERTIFICATES = "/etc/ssl/certs:/etc/ssl/certs:ro"
"""So that a build behind an intercepting proxy trusts what this machine trusts."""
PROJECT = """
dstream {
  state { path = "/tmp/state" }
}
task "count" {
  input {
    provider = "counter"
    config { interval = "1ms" }
  }
  output {
    provider = "console"
  }
}
"""
LOCKED_DOWN = """
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount --bind -o ro "$2" "$1/project"
mount -t tmpfs tmpfs "$1/tmp"
mount -t proc proc "$1/proc"
mount --bind /dev "$1/dev"
exec chroot --userspec=10001:10001 "$1" env -i PATH=/opt/dstream/bin:/usr/bin:/bin HOME=/home/dstream \
  sh -c 'cd /project && ! touch /written && dstream version && dstream run count --max-rows 3'
"""
"""What `docker run --read-only --tmpfs /tmp --volume PROJECT:/project:ro` does, without a daemon."""

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        os.geteuid() != 0 or not (shutil.which("buildah") and shutil.which("debootstrap")),
        reason="needs root, and: apt-get install buildah debootstrap",
    ),
]


def done(*command: str | Path) -> str:
    ran = subprocess.run(command, env=BUILDAH, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.strip()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The mounted root file system of the image."""
    folder = tmp_path_factory.mktemp("image")
    root = folder / "root"
    done("debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", root)
    base = done("buildah", "from", "scratch")
    done("buildah", "add", "-q", base, root, "/")
    done("buildah", "commit", "-q", base, "localhost/dstream-test-base")
    build_wheels(folder / "wheels")
    file = ROOT / "examples/container/Dockerfile"
    build = ["buildah", "bud", "-q", "--build-arg", "BASE=localhost/dstream-test-base", "--volume", CERTIFICATES]
    done(*build, "-t", "localhost/dstream-test", "-f", file, folder)
    container = done("buildah", "from", "localhost/dstream-test")
    try:
        yield Path(done("buildah", "mount", container))
    finally:
        done("buildah", "rm", base, container)
        done("buildah", "rmi", "localhost/dstream-test", "localhost/dstream-test-base")


def test_the_image_streams_as_another_user_on_a_read_only_file_system(image: Path, tmp_path: Path) -> None:
    (tmp_path / "dstream.hcl").write_text(PROJECT)
    for folder in (tmp_path, *tmp_path.parents[:-1]):
        folder.chmod(folder.stat().st_mode | 0o055)
    state = (image / "state").stat()  # a new volume at /state gets its owner and mode
    assert (state.st_uid, state.st_gid, state.st_mode & 0o777) == (10001, 10001, 0o700)
    command = ["unshare", "--mount", "--pid", "--fork", "sh", "-euc", LOCKED_DOWN, "sh", image, tmp_path]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "dstream-servicebus" in ran.stdout
    assert "run.finished     task=count rows=" in ran.stderr


def test_the_image_has_no_tools_to_install_or_compile_with(image: Path) -> None:
    found = [name for name in ("pip", "go", "gcc", "curl") for _ in image.glob(f"**/bin/{name}")]
    assert found == []
