"""Who may use the sandbox's control endpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
from dstream_sandbox.control_access import authorization, ensure_token, has_token, web_page_refusal


def test_the_token_is_random_kept_and_readable_only_by_its_owner(tmp_path: Path) -> None:
    first, second = tmp_path / "first" / "control.token", tmp_path / "second" / "control.token"
    token = ensure_token(first)
    assert token == ensure_token(first) == first.read_text()
    assert len(token) > 40
    assert ensure_token(second) != token
    assert first.stat().st_mode & 0o777 == 0o600
    assert first.parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in first.parent.iterdir()] == ["control.token"]


def test_only_the_exact_token_is_accepted() -> None:
    assert has_token({name.lower(): value for name, value in authorization("abc").items()}, "abc")
    for given in ("", "abc", "Bearer", "Bearer ab", "Bearer abcd", "Basic abc", "Bearer \u20ac"):
        assert not has_token({"authorization": given}, "abc")
    assert not has_token({}, "abc")


def test_no_token_is_accepted_by_a_server_without_one() -> None:
    assert not has_token({"authorization": "Bearer "}, "")


@pytest.mark.parametrize("host", ["localhost", "LocalHost:1433", "127.0.0.1", "127.8.8.8:80", "[::1]", "[::1]:5300"])
def test_loopback_hosts_are_accepted(host: str) -> None:
    assert web_page_refusal({"host": host}) is None


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil", "127.0.0.1.evil:80", "10.0.0.1", "[::2]:80", "::1", "0"]
)
def test_other_hosts_are_refused(host: str) -> None:
    assert "Host" in (web_page_refusal({"host": host}) or "")


def test_a_request_with_an_origin_is_refused() -> None:
    assert "Origin" in (web_page_refusal({"host": "localhost", "origin": "http://localhost"}) or "")
    assert web_page_refusal({}) is None
