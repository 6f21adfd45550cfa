"""The admin port over plain HTTP: what other clients and scripts rely on."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import re
import socket
import ssl
import time
from urllib.parse import quote_plus
from uuid import uuid4

import pytest

from tests.integration.sandbox_admin.conftest import KEY, KEY_NAME, Namespace

QUEUE = (
    '<entry xmlns="http://www.w3.org/2005/Atom"><content type="application/xml">'
    '<QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect">'
    "<LockDuration>PT30S</LockDuration></QueueDescription></content></entry>"
)


def _token(audience: str, *, expires_in_s: float = 3600) -> str:
    resource, expiry = quote_plus(audience), str(int(time.time() + expires_in_s))
    digest = hmac.new(KEY.encode(), f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = quote_plus(base64.b64encode(digest))
    return f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={KEY_NAME}"


def _ask(
    namespace: Namespace, method: str, path: str, body: str = "", *, token: str | None = None, **headers: str
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", namespace.admin_port, timeout=60)
    authorization = _token("http://localhost/") if token is None else token
    connection.request(
        method, path, body, {"Authorization": authorization, **{k.replace("_", "-"): v for k, v in headers.items()}}
    )
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def test_http_and_https_share_the_port(namespace: Namespace) -> None:
    plain = http.client.HTTPConnection("127.0.0.1", namespace.admin_port, timeout=60)
    context = ssl.create_default_context(cafile=str(namespace.ca_file))
    secure = http.client.HTTPSConnection("localhost", namespace.admin_port, timeout=10, context=context)
    for connection in (plain, secure):
        for _ in range(2):  # a connection also serves more than one request
            connection.request("GET", "/health")
            response = connection.getresponse()
            assert (response.status, json.loads(response.read())) == (200, {"status": "healthy"})
        connection.close()


def test_entries_have_the_services_prefixes_and_order(namespace: Namespace) -> None:
    name = f"q-{uuid4().hex[:8]}"
    status, _ = _ask(namespace, "PUT", f"/{name}?api-version=2021-05", QUEUE)
    assert status == 201
    status, text = _ask(namespace, "GET", f"/{name}?api-version=2021-05")
    assert status == 200
    assert '<QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"' in text
    assert 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><LockDuration>PT30S</LockDuration>' in text
    assert '<CountDetails xmlns:d2p1="http://schemas.microsoft.com/netservices/2011/06/servicebus">' in text
    tags = re.findall(r"<([A-Z]\w+)[ >]", text)
    assert tags[tags.index("LockDuration") :] == [
        "LockDuration", "MaxSizeInMegabytes", "RequiresDuplicateDetection", "RequiresSession",
        "DefaultMessageTimeToLive", "DeadLetteringOnMessageExpiration", "DuplicateDetectionHistoryTimeWindow",
        "MaxDeliveryCount", "EnableBatchedOperations", "SizeInBytes", "MessageCount", "IsAnonymousAccessible",
        "AuthorizationRules", "Status", "CreatedAt", "UpdatedAt", "AccessedAt", "SupportOrdering", "CountDetails",
        "AutoDeleteOnIdle", "EnablePartitioning", "EntityAvailabilityStatus", "EnableExpress",
    ]  # fmt: skip


def test_a_missing_entity_is_an_empty_feed_or_an_error(namespace: Namespace) -> None:
    status, text = _ask(namespace, "GET", "/nothing")
    assert status == 200
    assert text.startswith('<feed xmlns="http://www.w3.org/2005/Atom">')
    assert "<entry" not in text
    status, text = _ask(namespace, "DELETE", "/nothing")
    assert status == 404
    assert text.startswith("<Error><Code>404</Code><Detail>SubCode=40400.")
    assert _ask(namespace, "GET", "/nothing/subscriptions")[0] == 404


@pytest.mark.parametrize("body", ["", "text", "<a/>", "<!DOCTYPE a><a/>", QUEUE.replace("PT30S", "half a minute")])
def test_invalid_bodies_are_refused(namespace: Namespace, body: str) -> None:
    status, text = _ask(namespace, "PUT", f"/q-{uuid4().hex[:8]}", body)
    assert status == 400
    assert "SubCode=40000" in text


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("", 401),
        ("Bearer x", 401),
        (_token("http://localhost/", expires_in_s=-10), 401),
        (_token("http://localhost/other"), 401),
        (_token("http://localhost/")[:-5], 401),
        (_token("sb://localhost:5300/"), 200),
        (_token("https://localhost"), 200),
        (_token("https://localhost/some"), 200),
    ],
)
def test_tokens_are_checked(namespace: Namespace, token: str, status: int) -> None:
    assert _ask(namespace, "GET", "/some/queue", token=token)[0] == status


def test_control_paths_reach_the_server(namespace: Namespace) -> None:
    token = f"Bearer {namespace.control_token}"
    status, text = _ask(namespace, "GET", "/_sandbox/counters", token=token)
    assert status == 200
    assert isinstance(json.loads(text), dict)
    assert _ask(namespace, "GET", "/_sandbox/nothing", token=token)[0] == 404


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/_sandbox/faults", "/_sandbox/counters", "/_sandbox/nothing"])
def test_control_paths_require_the_token(namespace: Namespace, method: str, path: str) -> None:
    for token in ("", "Bearer ", "Bearer x", "Bearer \xe9", namespace.control_token, _token("http://localhost/")):
        status, text = _ask(namespace, method, path, '{"kind": "kill"}', token=token)
        assert (status, "SANDBOX_CONTROL_TOKEN" in text) == (401, True)


@pytest.mark.parametrize(
    "header",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example:5300"}, {"Host": "127.0.0.1.evil"}],
)
@pytest.mark.parametrize("path", ["/_sandbox/faults", "/health", "/$Resources/queues"])
def test_web_pages_are_refused_even_with_the_token(namespace: Namespace, header: dict[str, str], path: str) -> None:
    token = f"Bearer {namespace.control_token}" if path.startswith("/_sandbox") else None
    assert _ask(namespace, "GET", path, token=token)[0] == 200
    assert _ask(namespace, "GET", path, token=token, **header)[0] == 403


@pytest.mark.parametrize(
    "junk",
    [b"NONSENSE\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"\x16junk" * 9],
)
def test_junk_is_rejected_and_the_next_client_is_served(namespace: Namespace, junk: bytes) -> None:
    with socket.create_connection(("127.0.0.1", namespace.admin_port), timeout=60) as connection:
        connection.sendall(junk)
        answer = connection.recv(100)
    assert answer.startswith((b"HTTP/1.1 400", b"\x15")) or answer == b""
    assert _ask(namespace, "GET", "/health")[0] == 200


def test_chunked_bodies_are_accepted(namespace: Namespace) -> None:
    name = f"q-{uuid4().hex[:8]}"
    connection = http.client.HTTPConnection("127.0.0.1", namespace.admin_port, timeout=60)
    headers = {"Authorization": _token("http://localhost/"), "Transfer-Encoding": "chunked"}
    chunks = [QUEUE[:50].encode(), QUEUE[50:].encode()]
    connection.request("PUT", f"/{name}", iter(chunks), headers, encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, b"PT30S" in response.read()) == (201, True)
    connection.close()
