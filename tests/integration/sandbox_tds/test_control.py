"""The control requests on the port of SQL Server."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.sandbox_tds.conftest import Listener

_TOKEN = "t0ken"
_FAULT = {"kind": "sql", "number": 1205, "times": 1}


def _ask(listener: Listener, method: str, body: object = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", listener.port, timeout=60)
    text = None if body is None else json.dumps(body)
    connection.request(method, "/_sandbox/faults", text, {"Authorization": f"Bearer {_TOKEN}", **headers})
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def test_faults_are_added_listed_and_cleared_with_the_token(start: Callable[..., Listener]) -> None:
    listener = start(control_token=_TOKEN)
    status, answer = _ask(listener, "POST", _FAULT)
    assert (status, len(answer["faults"])) == (200, 1)
    assert _ask(listener, "GET") == (status, answer)
    assert _ask(listener, "DELETE") == (200, {"faults": []})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer other"}, 401),
        ({"Authorization": ""}, 401),
        ({"Origin": "https://evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Content-Length": "-1"}, 400),
        ({"Content-Length": "100000"}, 400),
        ({"Content-Length": "x"}, 400),
    ],
)
def test_other_requests_change_nothing(start: Callable[..., Listener], headers: dict[str, str], status: int) -> None:
    listener = start(control_token=_TOKEN)
    assert _ask(listener, "POST", _FAULT, **headers)[0] == status
    assert _ask(listener, "GET") == (200, {"faults": []})


def test_a_server_without_a_token_refuses_all(start: Callable[..., Listener]) -> None:
    assert _ask(start(), "GET", Authorization="Bearer ")[0] == 401
