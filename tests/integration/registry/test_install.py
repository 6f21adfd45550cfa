"""Providers by reference: installed from a real registry, locked by digest, run offline, refused if they differ."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dstream.errors import ConfigError, RefusedError, UnreachableError
from dstream.plugins import from_reference, this_platform
from tests.integration.registry.oci_registry import OciRegistry, digest_of
from tests.running import DStream

PROVIDER = """#!/bin/sh
# {0}
echo '{{"dstream":"hello","protocol":1,"role":"input","name":"tides","version":"{0}","capabilities":["checkpoint"]}}'
read -r line_1
read -r welcome
echo '{{"status":"ready"}}'
echo '{{"data":{{"version":"{0}"}},"metadata":{{}}}}'
echo '{{"dstream":"checkpoint","seq":1,"n":1,"state":{{}}}}'
echo '{{"dstream":"end","seq":1}}'
while read -r line; do :; done
"""
CLOSED = "localhost:1"  # a privileged port that nothing listens on


@pytest.fixture
def owner() -> str:
    """A name of its own for each test."""
    return f"o{uuid.uuid4().hex}"


@pytest.fixture
def reference(registry: OciRegistry, owner: str) -> str:
    return f"{registry.host}/{owner}/tides:v1"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Callable[..., DStream]:
    """`project(reference, offline=True)`: the command in a folder whose task reads from these providers."""
    folder = tmp_path / "project"
    folder.mkdir()

    def make(*references: str, offline: bool = False, **env: str) -> DStream:
        tasks = [
            f'task "t{number}" {{\n  input {{ provider_ref = "{each}" }}\n  output {{ provider = "console" }}\n}}\n'
            for number, each in enumerate(references)
        ]
        (folder / "dstream.hcl").write_text("".join(tasks))
        return DStream(folder, {**os.environ, "HOME": str(home), "DSTREAM_OFFLINE": "1" if offline else "", **env})

    return make


def push(dstream: DStream, reference: str, version: str, *flags: str, platforms: Sequence[str] = ()) -> str:
    """Push a provider that sends its version, and return the digest of its binary."""
    content = f"{PROVIDER.format(version)}# {reference}\n"  # the registry stores equal files once
    (dstream.cwd / "tides").write_text(content)
    files = [f"{platform}=tides" for platform in platforms or [this_platform()]]
    done = dstream("provider", "push", reference, *files, *flags)
    assert done.returncode == 0, done.stderr
    return digest_of(content.encode())


def version_sent(dstream: DStream, task: str = "t0") -> str:
    done = dstream("run", task, "--reset")
    assert done.returncode == 0, done.stderr
    found = re.findall(r'"version":"(\w+)"\}', done.stderr)
    assert len(found) == 1, done.stderr
    version: str = found[0]
    return version


def plugins(home: Path) -> list[str]:
    root = home / ".dstream/plugins"
    return sorted(str(path.relative_to(root)) for path in root.rglob("plugin*") if path.is_file())


def test_a_pushed_provider_is_installed_locked_and_runs_offline(
    project: Callable[..., DStream], reference: str, home: Path
) -> None:
    dstream = project(reference)
    digest = push(dstream, reference, "one", platforms=[this_platform(), "plan9_mips"])
    installed = json.loads(dstream("provider", "install", "--json").stdout)["providers"]
    path = home / ".dstream/plugins/tides/v1" / this_platform() / "plugin"
    assert installed == [
        {"ref": reference, "platform": this_platform(), "digest": digest, "path": str(path), "pulled": True}
    ]
    lock = (dstream.cwd / "dstream.lock.hcl").read_text()
    assert lock.count(digest) == 2

    offline = project(reference, offline=True)
    assert version_sent(offline) == "one"
    assert "does not describe its settings" in offline("provider", "show", reference).stderr
    again = json.loads(offline("provider", "install", "--json").stdout)["providers"]
    assert [each["pulled"] for each in again] == [False]
    assert offline("validate", "-c", ".").returncode == 0, "the lock file is no configuration"
    assert (dstream.cwd / "dstream.lock.hcl").read_text() == lock


def test_without_a_lock_file_a_run_pulls_the_provider_and_keeps_it(
    project: Callable[..., DStream], reference: str, home: Path
) -> None:
    dstream = project(reference)
    push(dstream, reference, "one")
    assert version_sent(dstream) == "one"
    assert plugins(home) == [f"tides/v1/{this_platform()}/plugin"]
    push(dstream, reference, "two", "--force")
    assert version_sent(dstream) == "one"
    assert version_sent(project(reference, offline=True)) == "one"
    assert not (dstream.cwd / "dstream.lock.hcl").exists()


def test_a_binary_that_is_not_the_locked_one_is_neither_stored_nor_started(
    project: Callable[..., DStream], reference: str, registry: OciRegistry, home: Path
) -> None:
    dstream = project(reference)
    digest = push(dstream, reference, "one")
    assert dstream("provider", "lock").returncode == 0
    registry.replace_blob(digest, PROVIDER.format("evil").encode())
    for command in (["run", "t0"], ["provider", "install"], ["validate"]):
        done = dstream(*command)
        assert done.returncode == 5
        assert "registry.digest_mismatch" in done.stderr
        assert "dstream.hcl:2" in done.stderr
    assert plugins(home) == []


def test_a_changed_binary_on_this_machine_is_not_started(
    project: Callable[..., DStream], reference: str, home: Path
) -> None:
    dstream = project(reference)
    digest = push(dstream, reference, "one")
    assert dstream("provider", "install").returncode == 0
    first = f"tides/v1/{this_platform()}/plugin"
    (home / ".dstream/plugins" / first).write_text(PROVIDER.format("evil"))
    refused = project(reference, offline=True)("run", "t0")
    assert refused.returncode == 6
    assert "provider.not_installed" in refused.stderr
    assert version_sent(project(reference)) == "one"
    assert plugins(home) == [first, f"tides/v1/{this_platform()}/{digest.replace(':', '-')}/plugin"]


def test_providers_of_two_owners_with_one_name_are_both_installed(
    project: Callable[..., DStream], registry: OciRegistry, owner: str
) -> None:
    references = [f"{registry.host}/{owner}{number}/tides:v1" for number in (1, 2)]
    dstream = project(*references)
    for reference, version in zip(references, ("one", "two"), strict=True):
        push(dstream, reference, version)
    assert dstream("provider", "install").returncode == 0
    offline = project(*references, offline=True)
    assert [version_sent(offline, task) for task in ("t0", "t1", "t0")] == ["one", "two", "one"]


def test_a_moved_tag_changes_nothing_until_it_is_accepted(project: Callable[..., DStream], reference: str) -> None:
    dstream = project(reference)
    push(dstream, reference, "one")
    assert dstream("provider", "install").returncode == 0
    push(dstream, reference, "two", "--force")
    refused = dstream("provider", "lock")
    assert refused.returncode == 5
    assert "provider.tag_moved" in refused.stderr
    assert version_sent(dstream) == "one"

    locked = json.loads(dstream("provider", "lock", "--upgrade", "--json").stdout)
    assert [each["status"] for each in locked["providers"]] == ["upgraded"]
    assert version_sent(dstream) == "two"
    assert version_sent(project(reference, offline=True)) == "two"


def test_with_a_lock_file_nothing_else_is_pulled(project: Callable[..., DStream], reference: str, home: Path) -> None:
    dstream = project(reference)
    push(dstream, reference, "one")
    (dstream.cwd / "dstream.lock.hcl").write_text("")
    refused = dstream("run", "t0")
    assert refused.returncode == 3
    assert "provider.not_locked" in refused.stderr
    assert "dstream provider install" in refused.stderr
    assert plugins(home) == []


def test_lock_adds_and_removes_what_the_file_says(project: Callable[..., DStream], reference: str) -> None:
    other = reference.replace("tides", "winds")
    dstream = project(reference, other, reference)
    for each in (reference, other):
        push(dstream, each, "one")
    document = json.loads(dstream("provider", "lock", "--json").stdout)
    assert [(each["ref"], each["status"]) for each in document["providers"]] == [
        (reference, "added"),
        (other, "added"),
    ]
    document = json.loads(project(other)("provider", "lock", "--json").stdout)
    assert [each["status"] for each in document["providers"]] == ["unchanged"]
    assert document["removed"] == [reference]
    assert reference not in (dstream.cwd / "dstream.lock.hcl").read_text()


def test_one_unreachable_provider_does_not_hide_the_findings_about_others(
    project: Callable[..., DStream], reference: str
) -> None:
    dstream = project(reference, f"{CLOSED}/org/tides:v1")
    push(dstream, reference, "one")
    findings = json.loads(dstream("doctor", "t0", "t1", "--json").stdout)
    text = json.dumps(findings)
    assert "cannot reach localhost" in text
    assert "tides/v1" in text


def test_an_untrusted_file_needs_a_lock_and_the_environments_consent(
    project: Callable[..., DStream], reference: str
) -> None:
    dstream = project(reference)
    digest = push(dstream, reference, "one")
    repository = reference.rpartition(":")[0]
    consent = {"DSTREAM_ALLOWED_PROVIDERS": f"console,{repository}"}
    assert project(reference, **consent)("validate", "--untrusted").returncode == 5, "no lock file"
    assert dstream("provider", "lock").returncode == 0
    assert project(reference)("validate", "--untrusted", "--static").returncode == 5, "no consent"
    for entry in (repository, reference, digest):
        allowed = project(reference, DSTREAM_ALLOWED_PROVIDERS=f"console,{entry}")
        done = allowed("validate", "--untrusted")
        assert done.returncode == 0, done.stderr


def test_allowed_providers_name_references_and_digests(
    registry: OciRegistry, project: Callable[..., DStream], reference: str, home: Path
) -> None:
    dstream = project(reference)
    digest = push(dstream, reference, "one")
    environ = {"HOME": str(home)}
    for entry in ("tides", reference.replace(":v1", ":v2"), f"sha256:{'0' * 64}"):
        with pytest.raises(ConfigError) as caught:
            from_reference(reference, dstream.cwd, environ, listed=[entry])
        assert caught.value.code == "provider.not_allowed"
    assert plugins(home) == []
    for entry in (reference, reference.rpartition(":")[0], digest):
        assert from_reference(reference, dstream.cwd, environ, listed=[entry])


def test_a_platform_without_a_binary_is_named(project: Callable[..., DStream], reference: str) -> None:
    dstream = project(reference)
    push(dstream, reference, "one", platforms=["plan9_mips"])
    with pytest.raises(ConfigError) as caught:
        from_reference(reference, dstream.cwd, {"HOME": str(dstream.cwd)})
    assert (caught.value.code, this_platform() in caught.value.message) == ("provider.no_platform", True)
    assert "plan9_mips" in caught.value.hint


def test_a_reference_by_digest_is_checked_against_the_artifact(
    registry: OciRegistry, project: Callable[..., DStream], reference: str, home: Path
) -> None:
    dstream = project(reference)
    push(dstream, reference, "one")
    document = json.loads(dstream("provider", "lock", "--json").stdout)
    manifest = document["providers"][0]["manifest"]
    (dstream.cwd / "dstream.lock.hcl").unlink()
    by_digest = f"{reference.rpartition(':')[0]}@{manifest}"
    assert version_sent(project(by_digest)) == "one"

    registry.replace_blob(manifest, b'{"schemaVersion": 2, "layers": []}')
    with pytest.raises((RefusedError, UnreachableError)):
        from_reference(f"{reference}@{manifest}", dstream.cwd, {"HOME": str(home)})


def test_a_provider_of_the_original_is_built_in(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        from_reference(f"{CLOSED}/katasec/dstream-ingester-mssql:v0.0.55", tmp_path, {"HOME": str(tmp_path)})
    assert caught.value.hint.endswith('DStream includes its equivalent: use provider = "mssql_cdc".')


def test_a_plan_needs_no_provider_of_other_tasks(tmp_path: Path) -> None:
    outputs = ('provider = "test_infrastructure"', f'provider_ref = "{CLOSED}/org/tides:v1"')
    tasks = [
        f'task "t{number}" {{\n  input {{ provider = "counter" }}\n  output {{ {output} }}\n}}\n'
        for number, output in enumerate(outputs)
    ]
    (tmp_path / "dstream.hcl").write_text("".join(tasks))
    done = DStream(tmp_path, {**os.environ, "HOME": str(tmp_path / "home")})("plan", "t0")
    assert done.returncode == 0, done.stderr
