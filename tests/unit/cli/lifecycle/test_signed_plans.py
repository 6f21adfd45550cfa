"""`plan --out FILE --sign KEY`, and what `--verify KEY` accepts. The keys are those that openssl makes."""

from __future__ import annotations

import builtins
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from dstream.cli.lifecycle.plan_seal import sealed
from tests.unit.cli.lifecycle.plan_bench import Bench

PLAN = ("plan", "orders", "--out")


def openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], capture_output=True, check=True).stdout


def key_pair(folder: Path, algorithm: str = "ed25519") -> tuple[str, str]:
    """The paths of a private and a public key, created as in the guide."""
    private, public = str(folder / f"{algorithm}.pem"), str(folder / f"{algorithm}.public.pem")
    openssl("genpkey", "-algorithm", algorithm, "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    return private, public


@pytest.fixture
def keys(tmp_path: Path) -> tuple[str, str]:
    return key_pair(tmp_path)


@pytest.fixture
def other_keys(tmp_path: Path) -> tuple[str, str]:
    folder = tmp_path / "others"
    folder.mkdir()
    return key_pair(folder)


def applied(bench: Bench, document: Any, public: str) -> str:
    done = bench.apply(document, "init", "--allow-data-loss", "--confirm", "sales", "--verify", public)
    assert bool(done.done) == (done.error == "")
    return done.error


def test_a_signed_plan_is_shown_and_applied(bench: Bench, keys: tuple[str, str]) -> None:
    private, public = keys
    saved = bench.save("--sign", private)
    der = openssl("pkey", "-pubin", "-in", public, "-outform", "DER")
    assert saved["signature"]["key"] == hashlib.sha256(der).hexdigest()
    assert applied(bench, saved, public) == ""

    unverified = bench.dstream("plan", "--show", str(bench.file)).output
    assert (
        f"digest {saved['digest']}, signed with the key {saved['signature']['key'][:16]} (not verified)" in unverified
    )
    shown = bench.dstream("plan", "--show", str(bench.file), "--verify", public)
    assert "(verified)" in shown.output
    document = json.loads(bench.dstream("plan", "--show", str(bench.file), "--verify", public, "--json").output)
    assert document["plan_file"] == {
        "digest": saved["digest"],
        "signature": {"key": saved["signature"]["key"], "verified": True},
    }


def test_openssl_verifies_the_signature_of_the_content_that_jq_prints(bench: Bench, keys: tuple[str, str]) -> None:
    """The canonical form is documented: others can compute it, too."""
    private, public = keys
    saved = bench.save("--sign", private)
    content = bench.folder / "content"
    without_seal = "del(.digest,.fingerprints,.signature)"
    content.write_bytes(subprocess.check_output(["jq", "-jcSa", without_seal, str(bench.file)]))
    assert hashlib.sha256(content.read_bytes()).hexdigest() == saved["digest"]
    signature = bench.folder / "signature"
    signature.write_bytes(subprocess.check_output(["base64", "-d"], input=saved["signature"]["value"].encode()))
    verify = ("pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", str(content))
    assert b"Signature Verified Successfully" in openssl(*verify, "-sigfile", str(signature))


def test_a_wrong_missing_or_foreign_signature_is_refused(
    bench: Bench, keys: tuple[str, str], other_keys: tuple[str, str]
) -> None:
    private, public = keys
    saved = bench.save("--sign", private)
    signature = saved["signature"]
    edited = {**sealed({**saved, "created": "2026-11-30T00:00:00Z"}), "signature": signature}
    assert applied(bench, edited, public).startswith("plan.bad_signature: ")
    for field, value in (("value", "AAAA"), ("value", "no base64"), ("algorithm", "none")):
        assert applied(bench, {**saved, "signature": {**signature, field: value}}, public).startswith(
            "plan.bad_signature: "
        )
    assert applied(bench, {**saved, "signature": None}, public).startswith("plan.unsigned: ")
    assert applied(bench, {**saved, "signature": {**signature, "unknown": 1}}, public).startswith("plan.invalid: ")

    foreign = bench.save("--sign", other_keys[0])
    assert applied(bench, foreign, public).startswith("plan.other_key: ")
    pretended = {**foreign, "signature": {**foreign["signature"], "key": signature["key"]}}
    assert applied(bench, pretended, public).startswith("plan.bad_signature: ")


def test_a_pipeline_can_require_signed_plans(
    bench: Bench, keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = keys
    unsigned = bench.save()
    monkeypatch.setenv("DSTREAM_VERIFY_PLAN", public)
    assert bench.apply(unsigned).error.startswith("plan.unsigned: ")
    assert bench.dstream("plan", "--show", str(bench.file)).error.startswith("plan.unsigned: ")
    for command in ("init", "destroy"):
        without_file = bench.dstream(command, "orders", "--yes")
        assert without_file.error.startswith("plan.unsigned: ")
        assert without_file.done == []
    assert bench.apply(bench.save("--sign", private)).error == ""
    monkeypatch.setenv("DSTREAM_VERIFY_PLAN", "")
    assert bench.apply(unsigned).error == ""


def test_a_key_that_cannot_be_used_is_named(bench: Bench, keys: tuple[str, str], tmp_path: Path) -> None:
    private, public = keys
    readable = tmp_path / "readable.pem"
    readable.write_text(Path(private).read_text())
    readable.chmod(0o644)
    encrypted = tmp_path / "encrypted.pem"
    openssl("pkey", "-in", private, "-aes256", "-passout", "pass:x", "-out", str(encrypted))
    encrypted.chmod(0o600)
    binary = tmp_path / "binary.pem"
    binary.write_bytes(b"\xff")
    binary.chmod(0o600)
    cases = {
        str(tmp_path / "missing.pem"): "No such file",
        str(readable): "chmod 600",
        str(encrypted): "is encrypted",
        str(binary): "not a PEM file",
        key_pair(tmp_path, "x25519")[0]: "not an Ed25519 key",
    }
    Path(public).chmod(0o600)
    for path, reason in {**cases, public: "not a private key"}.items():
        failed = bench.dstream(*PLAN, str(bench.file), "--sign", path)
        assert failed.error.startswith("plan.bad_key: ")
        assert reason in failed.error
        assert not bench.file.exists()
    saved = bench.save("--sign", private)
    assert "not a public key" in applied(bench, saved, private)
    assert "PRIVATE" not in applied(bench, saved, private)


def test_the_package_that_signs_is_optional(
    bench: Bench, keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = builtins.__import__

    def without_cryptography(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return load(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_cryptography)
    assert bench.dstream(*PLAN, str(bench.file), "--sign", keys[0]).error.startswith("plan.no_cryptography: ")
    assert bench.apply(bench.save()).error == ""


def test_sign_requires_out(bench: Bench) -> None:
    with pytest.raises(click.UsageError, match="--sign requires --out"):
        bench.dstream("plan", "orders", "--sign", "key.pem")
