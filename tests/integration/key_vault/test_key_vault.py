"""Azure's own client library reads from a stand-in for the vault and Entra ID, over TLS, port 443."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.keyvault.secrets._shared import http_challenge_cache

from dstream.config import Project, load
from dstream.errors import AuthError, ConfigErrors, DStreamError, UnreachableError
from dstream.key_vault.client import KeyVaults
from dstream.key_vault.secret import KeyVaultSecret
from tests.integration.key_vault.stand_in import LOGIN, TENANT, VAULT, StandIn


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    stand_in = StandIn(tmp_path_factory.mktemp("vault"))
    yield stand_in
    stand_in.stop()


@pytest.fixture
def vault(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in, reachable under Azure's host names; no other name resolves."""
    look_up = socket.getaddrinfo

    def found(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if host in (VAULT, LOGIN):
            return look_up("127.0.0.1", server.server.server_address[1], *rest, **more)
        raise socket.gaierror(-2, "Name or service not known")

    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "AZURE_AUTHORITY_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", found)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca))
    for name, value in {"TENANT_ID": TENANT, "CLIENT_ID": "app", "CLIENT_SECRET": "right"}.items():
        monkeypatch.setenv(f"AZURE_{name}", value)
    http_challenge_cache.clear()
    server.asked.clear()
    server.written.clear()
    server.deleted.clear()
    return server


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Project]:
    def loaded(expression: str, **how: Any) -> Project:
        hcl = f'task "t" {{\n  input {{\n    provider = "p"\n    config {{\n      a = {expression}\n    }}\n  }}\n  output {{\n    provider = "q"\n  }}\n}}\n'
        (tmp_path / "dstream.hcl").write_text(hcl)
        return load(tmp_path / "dstream.hcl", environ={}, **how)

    return loaded


def failure(load_it: Callable[[], Any]) -> DStreamError:
    with pytest.raises((ConfigErrors, DStreamError)) as caught:
        load_it()
    error = caught.value
    found = error.errors[0] if isinstance(error, ConfigErrors) else error
    assert isinstance(found, DStreamError)
    assert "Zq7" not in f"{found.message}{found.hint}"
    assert found.place is not None
    assert found.place.line == 5
    return found


def test_a_secret_is_read_once_and_marked(vault: StandIn, loaded: Callable[..., Project]) -> None:
    block = (
        loaded('["x-${secret("azurekeyvault://retail/key")}", secret("azurekeyvault://retail.vault.azure.net/key")]')
        .tasks["t"]
        .input
    )
    assert block.config == {"a": ["x-Zq7Vault4Kx", "Zq7Vault4Kx"]}
    assert "Zq7Vault4Kx" in block.secrets
    assert vault.asked.count("/secrets/key") == 1


def test_a_version_can_be_requested(vault: StandIn, loaded: Callable[..., Project]) -> None:
    loaded('secret("azurekeyvault://retail/key/0abc")')
    assert vault.asked == ["/secrets/key/0abc"]


@pytest.mark.parametrize("how", [{"ask_vaults": False}, {"roles": ["output"]}, {"only": ()}])
def test_an_unused_block_does_not_query_the_vault(
    vault: StandIn, loaded: Callable[..., Project], how: dict[str, Any]
) -> None:
    block = loaded('secret("azurekeyvault://retail/key")', **how).tasks["t"].input
    assert dict(block.config) == {}
    assert block.unread == ({"a"} if "ask_vaults" in how else frozenset())
    assert vault.asked == []


def test_a_missing_secret_is_named(vault: StandIn, loaded: Callable[..., Project]) -> None:
    found = failure(lambda: loaded('secret("azurekeyvault://retail/absent")'))
    assert (found.code, found.message) == ("keyvault.secret_not_found", f"secret absent not found in key vault {VAULT}")


def test_denied_access_gives_azures_reason_even_inside_try(vault: StandIn, loaded: Callable[..., Project]) -> None:
    found = failure(lambda: loaded('try(secret("azurekeyvault://retail/closed"), "x")'))
    assert (type(found), found.code) == (AuthError, "keyvault.no_access")
    assert "(ForbiddenByRbac)" in found.message


def test_a_failed_sign_in_reports_only_the_entra_id_code(
    vault: StandIn, loaded: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wr0ng")
    found = failure(lambda: loaded('secret("azurekeyvault://retail/key")'))
    assert (found.code, found.message) == (
        "keyvault.not_signed_in",
        f"not signed in to key vault {VAULT} (AADSTS7000215)",
    )
    assert capfd.readouterr() == ("", "")


def test_a_stalled_vault_times_out_at_the_deadline(vault: StandIn) -> None:
    with pytest.raises(UnreachableError, match=r"did not respond within 0\.3 s"):
        KeyVaults(deadline_s=0.3).read(KeyVaultSecret(VAULT, "stalls"))


def test_an_untrusted_certificate_is_refused(
    vault: StandIn, monkeypatch: pytest.MonkeyPatch, loaded: Callable[..., Project]
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    found = failure(lambda: loaded('secret("azurekeyvault://retail/key")'))
    assert found.code == "keyvault.unreachable"
    assert "certificate is not trusted" in found.message


def test_a_secret_is_written_and_read_again(vault: StandIn) -> None:
    secret, vaults = KeyVaultSecret(VAULT, "made"), KeyVaults()
    vaults.write(secret, "Endpoint=sb://x")
    assert vault.written == {"made": "Endpoint=sb://x"}
    assert vaults.find(secret) == KeyVaults().find(secret) == "Endpoint=sb://x"
    assert KeyVaults().find(KeyVaultSecret(VAULT, "absent")) is None


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [
        ("closed", "keyvault.no_access", "Key Vault Secrets Officer"),
        ("deleted", "keyvault.secret_deleted", "az keyvault secret recover --vault-name retail --name deleted"),
    ],
)
def test_a_refused_write_says_what_to_do(vault: StandIn, name: str, code: str, hint: str) -> None:
    with pytest.raises(DStreamError) as caught:
        KeyVaults().write(KeyVaultSecret(VAULT, name), "x")
    assert (caught.value.code, hint in caught.value.hint) == (code, True)
    assert "Zq7" not in caught.value.message


def test_a_deleted_secret_is_recovered_when_it_is_written_again(vault: StandIn) -> None:
    secret, vaults = KeyVaultSecret(VAULT, "ended"), KeyVaults()
    vaults.write(secret, "old")
    vaults.delete(secret)
    vaults.delete(secret)  # nothing left to delete
    assert (vault.written, vault.deleted) == ({}, {"ended": "old"})
    assert vaults.find(secret) is None

    KeyVaults().write(secret, "new")
    assert (vault.written, vault.deleted) == ({"ended": "new"}, {})


def test_a_refused_deletion_says_what_to_do(vault: StandIn) -> None:
    with pytest.raises(AuthError) as caught:
        KeyVaults().delete(KeyVaultSecret(VAULT, "closed"))
    assert caught.value.code == "keyvault.no_access"
