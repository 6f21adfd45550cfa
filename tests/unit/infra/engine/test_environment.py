"""Where a task's infrastructure is recorded, and the engine's environment variables."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstream.errors import ConfigError
from dstream.infra.engine.environment import StackLocation, engine_environment, place_of, project_name
from dstream.protocol.messages import Infrastructure


def place(tmp_path: Path, backend_url: str | None = None, secrets_provider: str | None = None) -> StackLocation:
    work_dir = tmp_path / "infra" / "orders" / "dev"
    return place_of(Infrastructure("orders", "dev", str(work_dir), backend_url, secrets_provider), {})


def environment(where: StackLocation, environ: dict[str, str] | None = None, **more: object) -> dict[str, str]:
    given_: dict[str, object] = {"attached": {}, "plugins": (), **more}
    return engine_environment(where, {"HOME": "/home/ann", **(environ or {})}, **given_)  # type: ignore[arg-type]


def test_the_record_is_in_the_parent_of_all_work_dirs(tmp_path: Path) -> None:
    where = place(tmp_path)
    assert where.backend_url == (tmp_path / "infra").as_uri()
    assert where.folder == tmp_path / "infra"
    assert where.is_certainly_empty
    with pytest.raises(ConfigError, match="where the infrastructure is recorded"):
        place_of(Infrastructure("orders"), {})


def test_a_relative_folder_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place(tmp_path, "file://./state").folder == tmp_path / "state"
    assert place(tmp_path, "file:///var/state").folder == Path("/var/state")
    assert place(tmp_path, "file://~").folder == Path.home()
    assert place(tmp_path, "azblob://x?storage_account=y").folder is None


@given(st.text(min_size=1, max_size=120))
def test_any_task_gets_a_valid_pulumi_project_name(task: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", project_name(task))


@given(st.lists(st.text(alphabet="ab-.é/1", min_size=1, max_size=12), min_size=2, max_size=20, unique=True))
def test_two_tasks_never_share_a_project_name(tasks: list[str]) -> None:
    names = [project_name(task) for task in tasks] + [project_name(project_name(task)) for task in tasks]
    by_name = dict(zip(names, [*tasks, *(project_name(task) for task in tasks)], strict=True))
    assert all(project_name(task) == name for name, task in by_name.items())
    assert len({project_name(task) for task in tasks}) == len(tasks)


def test_a_local_record_gets_its_own_passphrase(tmp_path: Path) -> None:
    where = place(tmp_path)
    made = environment(where)
    file = tmp_path / "infra" / ".pulumi" / "dstream-passphrase"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(made["PULUMI_CONFIG_PASSPHRASE"]) > 30
    assert environment(where) == made
    assert made["PULUMI_HOME"] == "/home/ann/.dstream/pulumi/home"
    assert made["PULUMI_BACKEND_URL"] == where.backend_url
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_the_users_own_variables_win(tmp_path: Path) -> None:
    where = place(tmp_path)
    assert environment(where, {"PULUMI_CONFIG_PASSPHRASE": "own"})["PULUMI_CONFIG_PASSPHRASE"] == "own"
    named = environment(where, {"PULUMI_CONFIG_PASSPHRASE": "", "PULUMI_CONFIG_PASSPHRASE_FILE": "/f"})
    assert (named.get("PULUMI_CONFIG_PASSPHRASE"), named["PULUMI_CONFIG_PASSPHRASE_FILE"]) == (None, "/f")
    assert environment(where, {"PULUMI_HOME": "/h"}, opens_record=False)["PULUMI_HOME"] == "/h"
    kept_elsewhere = place(tmp_path, secrets_provider="azurekeyvault://v/keys/k")
    assert "PULUMI_CONFIG_PASSPHRASE" not in environment(kept_elsewhere)
    assert not (tmp_path / "infra").exists(), "no passphrase was created"


def test_a_remote_record_needs_a_passphrase(tmp_path: Path) -> None:
    where = place(tmp_path, "azblob://state")
    with pytest.raises(ConfigError) as caught:
        environment(where, {"PULUMI_CONFIG_PASSPHRASE": ""})
    assert caught.value.code == "infra.no_passphrase"
    assert environment(where, opens_record=False)["PULUMI_BACKEND_URL"] == "azblob://state"


def test_a_lost_passphrase_is_not_replaced(tmp_path: Path) -> None:
    where = place(tmp_path)
    record = tmp_path / "infra" / ".pulumi" / "stacks" / "orders" / "dev.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    with pytest.raises(ConfigError) as caught:
        environment(where)
    assert caught.value.code == "infra.passphrase_lost"
    assert where.passphrase_file is not None
    where.passphrase_file.touch(mode=0o600)  # as after a power failure on some file systems
    with pytest.raises(ConfigError, match="dstream-passphrase is empty"):
        environment(where)


def test_a_full_disk_leaves_no_half_of_a_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        environment(place(tmp_path))
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


def test_attached_providers_are_added_to_the_environments_own(tmp_path: Path) -> None:
    outside = {"PULUMI_DEBUG_PROVIDERS": "azure-native:5001,dstream:1,broken"}
    made = environment(place(tmp_path), outside, attached={"dstream": 5002}, plugins={"azure-native"})
    assert made["PULUMI_DEBUG_PROVIDERS"] == "azure-native:5001,dstream:5002"
    assert made["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    other = environment(place(tmp_path), {}, plugins={"azure-native"})
    assert "PULUMI_DEBUG_PROVIDERS" not in other
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in other


def in_cloud(tmp_path: Path, stack: str = "acme/prod", url: str = "https://api.pulumi.com") -> StackLocation:
    return place_of(Infrastructure("orders", stack, str(tmp_path / "infra" / "orders" / "x"), url), {})


def test_only_pulumi_cloud_has_organizations(tmp_path: Path) -> None:
    assert in_cloud(tmp_path).stack == "acme/prod"
    with pytest.raises(ConfigError, match=r'"acme/prod" names an organization') as caught:
        in_cloud(tmp_path, url="azblob://x")
    assert caught.value.code == "infra.no_organizations"
    assert 'stack = "prod"' in caught.value.hint


def test_an_existing_login_to_pulumi_cloud_is_found(tmp_path: Path) -> None:
    home, cloud = tmp_path / "home", in_cloud(tmp_path)
    variable = "PULUMI_CREDENTIALS_PATH"
    assert variable not in environment(cloud, {"HOME": str(home)})
    (home / ".pulumi").mkdir(parents=True)
    (home / ".pulumi" / "credentials.json").write_text("{}")
    assert environment(cloud, {"HOME": str(home)})[variable] == str(home / ".pulumi")
    for own in ("PULUMI_HOME", "PULUMI_ACCESS_TOKEN", variable):
        assert variable not in environment(cloud, {"HOME": str(home), own: "/own"})
    assert variable not in environment(place(tmp_path), {"HOME": str(home)})  # the engine would log in to the folder


@pytest.mark.parametrize("url", ["s3://retail?region=eu-west-1", "gs://retail", "azblob://retail?storage_account=x"])
def test_a_bucket_needs_a_passphrase_or_a_secrets_provider(tmp_path: Path, url: str) -> None:
    assert place(tmp_path, url).backend_url == url
    with pytest.raises(ConfigError, match="no passphrase"):
        environment(place(tmp_path, url))
    assert environment(place(tmp_path, url, "awskms://alias/dstream"))["PULUMI_BACKEND_URL"] == url


def test_a_mistyped_backend_is_not_taken_for_pulumi_cloud(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown backend"):
        place(tmp_path, "s4://retail")


def test_a_passphrase_that_others_can_write_is_refused_with_the_fix(tmp_path: Path) -> None:
    where = place(tmp_path)
    environment(where)
    file = where.passphrase_file
    assert file is not None
    file.chmod(0o666)
    with pytest.raises(ConfigError, match=f"mode 0666.*`chmod 600 {file}`") as caught:
        environment(where)
    assert caught.value.code == "infra.passphrase_unsafe"
    assert file.read_text() not in caught.value.message


def test_a_passphrase_behind_a_planted_link_is_refused(tmp_path: Path) -> None:
    where = place(tmp_path)
    file = where.passphrase_file
    assert file is not None
    file.parent.mkdir(parents=True)
    file.symlink_to(tmp_path / "absent")
    with pytest.raises(ConfigError, match="it is a symbolic link"):
        environment(where)
