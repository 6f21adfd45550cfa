"""Where DStream searches for the Pulumi CLI."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dstream.errors import ConfigError
from dstream.infra.engine.cli import ENGINE_VERSION, find_engine

ROOT = Path(__file__).parents[4]


def cli(folder: Path, version: str) -> Path:
    """A fake CLI that prints a version."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "pulumi"
    file.write_text(f"#!/bin/sh\necho v{version}\n")
    file.chmod(0o755)
    return file


def test_the_tested_version_is_the_one_that_the_repository_builds() -> None:
    built = re.search(r"github.com/pulumi/pulumi/pkg/v3 v(\S+)", (ROOT / "tools/pulumi/go.mod").read_text())
    assert built is not None
    assert built[1] == ENGINE_VERSION


def test_places_are_searched_in_order(tmp_path: Path) -> None:
    own = tmp_path / ".dstream" / "pulumi"
    pulumis = cli(tmp_path / ".pulumi" / "bin", "3.200.0")
    newest = cli(own / "v3.300.10" / "bin", "3.300.10")
    cli(own / "v3.300.9" / "bin", "3.300.9")
    tested = cli(own / f"v{ENGINE_VERSION}" / "bin", ENGINE_VERSION)
    on_path = cli(tmp_path / "on-path", "3.210.0")
    named = cli(tmp_path / "named", "3.220.0")
    environ = {"HOME": str(tmp_path), "PATH": str(on_path.parent), "DSTREAM_PULUMI": str(named)}

    def found() -> tuple[Path, str, str]:
        engine = find_engine(environ)
        return engine.path, engine.version, engine.source

    assert found() == (named, "3.220.0", "DSTREAM_PULUMI")
    environ["DSTREAM_PULUMI"] = str(named.parent)
    assert found()[0] == named
    environ["DSTREAM_PULUMI"] = ""
    assert found() == (tested, ENGINE_VERSION, "~/.dstream/pulumi")
    tested.unlink()
    assert found() == (on_path, "3.210.0", "PATH")
    environ["PATH"] = ""
    assert found()[:2] == (newest, "3.300.10")
    newest.unlink()
    (own / "v3.300.9" / "bin" / "pulumi").unlink()
    assert found() == (pulumis, "3.200.0", "~/.pulumi/bin")
    pulumis.unlink()
    with pytest.raises(ConfigError) as caught:
        found()
    assert caught.value.code == "infra.no_engine"
    assert str(own) in caught.value.message
    assert str(own / f"v{ENGINE_VERSION}" / "bin" / "pulumi") in caught.value.hint


def test_an_invalid_dstream_pulumi_is_an_error(tmp_path: Path) -> None:
    on_path = cli(tmp_path / "on-path", "3.210.0")
    with pytest.raises(ConfigError, match="DSTREAM_PULUMI is /nowhere"):
        find_engine({"HOME": str(tmp_path), "PATH": str(on_path.parent), "DSTREAM_PULUMI": "/nowhere"})


@pytest.mark.parametrize("version", ["3.180.9", "2.999.0", "unstamped"])
def test_an_engine_that_is_too_old_is_refused(tmp_path: Path, version: str) -> None:
    file = cli(tmp_path, version)
    with pytest.raises(ConfigError) as caught:
        find_engine({"HOME": str(tmp_path), "PATH": "", "DSTREAM_PULUMI": str(file)})
    assert caught.value.code == "infra.old_engine"


def test_a_program_that_is_not_pulumi_is_refused(tmp_path: Path) -> None:
    file = cli(tmp_path, "x")
    file.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(ConfigError, match="is not a working Pulumi CLI"):
        find_engine({"HOME": str(tmp_path), "PATH": "", "DSTREAM_PULUMI": str(file)})


def test_a_user_without_a_home_folder_is_told_to_set_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(ConfigError, match="no home folder") as caught:
        find_engine({"PATH": ""})
    assert "Set HOME" in caught.value.hint
