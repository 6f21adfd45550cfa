"""Chooses free ports and reports ports that are in use."""

from __future__ import annotations

import socket

import pytest
from dstream_sandbox.errors import SandboxError
from dstream_sandbox.ports import free_ports, require_free


def test_chosen_ports_differ_and_are_below_the_ephemeral_range() -> None:
    ports = free_ports(4)
    assert len(set(ports)) == 4
    assert all(20_000 <= port < 32_768 for port in ports)
    require_free({f"--{port}": port for port in ports})


def test_a_port_in_use_is_named_with_the_option_that_sets_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(SandboxError, match=f"port {port} on 127.0.0.1 is already in use.* --sql-port PORT"):
            require_free({"--sql-port": port})


def test_one_port_for_two_options_is_refused() -> None:
    with pytest.raises(SandboxError, match="--sql-port and --amqp-port are both 20001"):
        require_free({"--sql-port": 20001, "--amqp-port": 20001})
