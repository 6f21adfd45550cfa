"""Only processes of the same user can call the providers that are served to the engine."""

from __future__ import annotations

import inspect
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from dstream_sandbox.azure import own_peers as of_the_sandbox
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer, ResourceProviderStub

from dstream.infra.engine import own_peers
from dstream.infra.engine.attachments import served
from dstream.infra.engine.own_peers import is_own_peer


@pytest.fixture
def connection() -> Iterator[tuple[int, int]]:
    """The client's and the server's port of a connection."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        yield client.getsockname()[1], listener.getsockname()[1]


def test_a_process_of_the_same_user_is_an_own_peer(connection: tuple[int, int]) -> None:
    assert is_own_peer(*connection)


def test_a_process_of_another_user_is_not(connection: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    assert not is_own_peer(*connection)


def test_a_port_without_this_connection_is_not(connection: tuple[int, int]) -> None:
    client, server = connection
    assert not is_own_peer(client, client)
    assert not is_own_peer(server, client + 1)


def test_a_forged_row_beside_the_own_one_is_not(
    connection: tuple[int, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client, server = connection
    assert is_own_peer(client, server)
    monkeypatch.setattr(own_peers, "_known_until", {})  # as after 5 s
    table = tmp_path / "tcp"
    row = f"   0: 0100007F:{client:04X} 0100007F:{server:04X} 01 00000000:00000000 00:00000000 00000000 %d 0 1\n"
    table.write_text("header\n" + row % os.geteuid() + row % (os.geteuid() + 1))
    monkeypatch.setattr(own_peers, "_TABLES", (table,))
    assert not is_own_peer(client, server)


def test_the_served_providers_refuse_other_users(monkeypatch: pytest.MonkeyPatch) -> None:
    class Provider(ResourceProviderServicer):
        def Cancel(self, request: object, context: object) -> Empty:
            return Empty()

    with served({"test": Provider()}, None) as ports, grpc.insecure_channel(f"127.0.0.1:{ports['test']}") as channel:
        stub = ResourceProviderStub(channel)
        stub.Cancel(Empty(), timeout=60)
        uid = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
        with pytest.raises(grpc.RpcError) as refused:
            stub.Cancel(Empty(), timeout=60)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_the_sandbox_has_the_same_file() -> None:
    assert inspect.getsource(of_the_sandbox) == inspect.getsource(own_peers)
