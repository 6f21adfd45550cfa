"""What Docker's files and credential helpers may contain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dstream.errors import AuthError
from dstream.registry.credentials import RegistryLogin, login_of

HOST = "registry.example:5000"


def write(home: Path, config: object) -> None:
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker/config.json").write_text(config if isinstance(config, str) else json.dumps(config))


def login(home: Path, host: str = HOST) -> RegistryLogin | None:
    return login_of(host, {"HOME": str(home)})


def helper(home: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = home / "docker-credential-x"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(home), prepend=":")
    write(home, {"credsStore": "x"})


def test_without_a_file_or_an_entry_there_is_no_login(tmp_path: Path) -> None:
    assert login(tmp_path) is None
    for config in ({}, [], {"auths": {}}, {"auths": {"other": {"auth": "YTpi"}}}, {"auths": {HOST: {}}}):
        write(tmp_path, config)
        assert login(tmp_path) is None


def test_an_entry_contains_a_password_or_an_identity_token(tmp_path: Path) -> None:
    write(tmp_path, {"auths": {HOST: {"auth": "YTpiOmM="}}})
    assert login(tmp_path) == RegistryLogin("a", "b:c")
    write(tmp_path, {"auths": {HOST: {"auth": "YTo=", "identitytoken": "t"}}})
    assert login(tmp_path) == RegistryLogin(identity_token="t")
    write(tmp_path, {"auths": {"https://index.docker.io/v1/": {"auth": "YTpi"}}})
    assert login(tmp_path, "docker.io") == RegistryLogin("a", "b")


def test_a_helper_answers_with_a_password_a_token_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(tmp_path, monkeypatch, """echo '{"Username": "a", "Secret": "b"}'""")
    assert login(tmp_path) == RegistryLogin("a", "b")
    helper(tmp_path, monkeypatch, """echo '{"Username": "<token>", "Secret": "t"}'""")
    assert login(tmp_path) == RegistryLogin(identity_token="t")
    helper(tmp_path, monkeypatch, "echo credentials not found in native keychain; exit 1")
    assert login(tmp_path) is None


@pytest.mark.parametrize(
    "config",
    [
        '{"auths": secret',
        {"auths": {HOST: {"auth": "not Base64: secret"}}},
        {"credsStore": "no-such-helper"},
        {"credsStore": "../../bin/sh"},
    ],
)
def test_an_unreadable_login_is_an_error_without_its_content(tmp_path: Path, config: object) -> None:
    write(tmp_path, config)
    with pytest.raises(AuthError) as caught:
        login(tmp_path)
    assert caught.value.code == "registry.login_unreadable"
    assert "secret" not in caught.value.message


def test_an_invalid_answer_of_a_helper_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in ("secret", "[]", '{"Username": "secret"}'):
        helper(tmp_path, monkeypatch, f"echo '{answer}'")
        with pytest.raises(AuthError) as caught:
            login(tmp_path)
        assert "secret" not in caught.value.message


def test_a_password_does_not_show() -> None:
    assert "secret" not in repr(RegistryLogin("a", "secret", "secret"))
