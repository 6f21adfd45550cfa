"""The CA bundle and the shell quoting of `dstream sandbox env`."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest
from dstream_sandbox.certificates import ensure_certificates
from dstream_sandbox.environment import environment, shell_exports
from dstream_sandbox.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "data")
    folder.make()
    ensure_certificates(folder.tls)
    return folder


def _path(folder: Folder, environ: dict[str, str]) -> str:
    return environment(folder, folder.settings_with(), environ)["REQUESTS_CA_BUNDLE"]


def _bundle(folder: Folder, environ: dict[str, str]) -> str:
    return Path(_path(folder, environ)).read_text()


def test_the_bundle_has_the_public_authorities_and_the_sandboxs_own(folder: Folder) -> None:
    bundle = _bundle(folder, {})
    assert folder.ca_file.read_text().strip() in bundle
    assert bundle.count("BEGIN CERTIFICATE") > Path(certifi.where()).read_text().count("BEGIN CERTIFICATE") // 2


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_configured_bundle_is_kept_and_not_added_twice(folder: Folder, tmp_path: Path, name: str) -> None:
    ensure_certificates(tmp_path)
    company = (tmp_path / "ca.pem").read_text()
    own = _path(folder, {name: str(tmp_path / "ca.pem")})
    assert company.strip() in Path(own).read_text()
    assert _path(folder, {"REQUESTS_CA_BUNDLE": own, "SSL_CERT_FILE": own}) == own


def test_a_bundle_given_to_one_shell_does_not_change(folder: Folder, tmp_path: Path) -> None:
    ensure_certificates(tmp_path)
    first = Path(_path(folder, {}))
    before = first.read_text()
    company = str(tmp_path / "ca.pem")
    assert _path(folder, {"REQUESTS_CA_BUNDLE": company, "SSL_CERT_FILE": company}) != str(first)
    assert first.read_text() == before


def test_a_configured_bundle_is_not_extended_with_public_authorities(folder: Folder, tmp_path: Path) -> None:
    ensure_certificates(tmp_path)
    company = str(tmp_path / "ca.pem")
    assert _bundle(folder, {"REQUESTS_CA_BUNDLE": company, "SSL_CERT_FILE": company}).count("BEGIN CERTIFICATE") == 2


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_bundle_for_one_client_keeps_what_the_other_trusts(folder: Folder, tmp_path: Path, name: str) -> None:
    ensure_certificates(tmp_path)
    assert _bundle(folder, {name: str(tmp_path / "ca.pem")}).count("BEGIN CERTIFICATE") > 100


def test_a_missing_bundle_is_ignored(folder: Folder) -> None:
    assert _bundle(folder, {"REQUESTS_CA_BUNDLE": "/nowhere/ca.pem"}).count("BEGIN CERTIFICATE") > 100


def test_every_value_is_quoted() -> None:
    assert shell_exports({"A": "1", "B": "it's; $x"}) == "export A='1'\nexport B='it'\"'\"'s; $x'\n"
