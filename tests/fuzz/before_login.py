"""Mutated conversations with the sandbox's servers before the login, and with the control socket of a host.

`python -m tests.fuzz.before_login COUNT [SEED]`, of `make fuzz`, sends COUNT inputs to each target, from a random seed or
from SEED; the suite sends 300 from fixed ones. A server must end each connection at its end, log no stack trace,
answer a valid request afterwards, and not keep memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from dstream_sandbox.certificates import ensure_certificates
from dstream_sandbox.servicebus.amqp import frames, performatives
from dstream_sandbox.servicebus.amqp.encode import encode_composite
from dstream_sandbox.servicebus.amqp.performatives import Code
from dstream_sandbox.servicebus.amqp.values import Symbol, UInt

from dstream.host.run.control_socket import ControlSocket
from tests.integration.sandbox_tds.raw_client import login_payload, packet

MAX_GROWTH_MIB = 64.0
CHECK_EVERY = 100
_WITHIN_S = 60.0
_EXTREMES = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff",
    bytes(4),
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"[" * 5000,
    b"9" * 5000,
)


@dataclass
class Target:
    """One server: where it is, what a client may say to it, and what shows that it works."""

    name: str
    connect: Callable[[], socket.socket]
    conversations: tuple[bytes, ...]
    """Valid ones; the first is answered with `answer`."""
    answer: bytes
    pid: int
    log: Path | None = None
    """The stderr of the process."""
    first_mib: float = field(default=0.0)


def mutated(target: Target, seed: int) -> bytes:
    """Return the input of a seed."""
    source = random.Random(f"{target.name} {seed}")
    text = bytearray(source.choice(target.conversations))
    for _ in range(source.randint(1, 6)):
        at, size = source.randrange(len(text) + 1), source.choice((1, 2, 4, 8, 64, 500))
        match source.randrange(7):
            case 0:
                text[at : at + 1] = bytes([source.randrange(256)])
            case 1:
                del text[at : at + size]
            case 2:
                text[at:at] = source.randbytes(size)
            case 3:
                text[at:at] = text[at : at + size] * source.randint(1, 50)
            case 4:
                extreme = source.choice(_EXTREMES)
                text[at : at + len(extreme)] = extreme
            case 5:
                other = source.choice(target.conversations)
                text[at:] = other[source.randrange(len(other)) :]
            case _:
                del text[at:]
    return bytes(text)


def check(target: Target, seeds: range) -> None:
    """Raise AssertionError, with the seed, if the target does not withstand an input."""
    for seed in seeds:
        try:
            say(target, mutated(target, seed))
        except TimeoutError as error:
            raise AssertionError(f"{target.name}, seed {seed}: the connection did not end") from error
        if (seed + 1 - seeds.start) % CHECK_EVERY == 0 or seed == seeds.stop - 1:
            require_health(target, seed)


def rss_mib(target: Target) -> float:
    return float(psutil.Process(target.pid).memory_info().rss) / 2**20


def say(target: Target, text: bytes) -> bytes:
    """Send the text and the end of the connection; return the answer. Raises TimeoutError."""
    answer = b""
    with target.connect() as connection:
        connection.settimeout(_WITHIN_S)
        try:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        except TimeoutError:
            raise
        except OSError:
            pass  # the server has closed the connection: ECONNRESET, EPIPE, ENOTCONN
    return answer


def require_health(target: Target, seed: int) -> None:
    where = f"{target.name}, at most {CHECK_EVERY} seeds up to {seed}"
    assert psutil.pid_exists(target.pid), f"{where}: the process has ended"
    assert target.answer in say(target, target.conversations[0]), f"{where}: no answer to a valid request"
    if target.log is not None:
        assert "Traceback" not in (text := target.log.read_text("utf-8", "replace")), f"{where}: {text[-3000:]}"
    target.first_mib = target.first_mib or rss_mib(target)
    grown = rss_mib(target) - target.first_mib
    assert grown < MAX_GROWTH_MIB, f"{where}: {grown:.0f} MiB more than at the first check"


@contextlib.contextmanager
def targets(folder: Path) -> Iterator[list[Target]]:
    """Start the servers in the folder."""
    ensure_certificates(folder)
    (folder / "secret").write_text("Correct-horse-1")
    files = [f"--cert={folder / 'server.pem'}", f"--key={folder / 'server.key'}"]
    with (
        _server("sqlserver", folder, [*files, f"--password-file={folder / 'secret'}"]) as sql,
        _server("servicebus", folder, [*files, f"--key-file={folder / 'secret'}"]) as bus,
        _control_socket(folder) as control,
    ):
        yield [
            Target("tds", _tcp(sql[0]["port"]), _TDS, "Login failed".encode("utf-16-le"), sql[0]["pid"], sql[1]),
            Target("amqp", _tcp(bus[0]["amqp_port"]), _AMQP, b"dstream-sandbox", bus[0]["pid"], bus[1]),
            Target("admin", _tcp(bus[0]["admin_port"]), _HTTP, b"healthy", bus[0]["pid"], bus[1]),
            Target("control socket", control, _CONTROL, b'"task"', os.getpid()),
        ]


@contextlib.contextmanager
def _server(name: str, folder: Path, options: list[str]) -> Iterator[tuple[dict[str, int], Path]]:
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", f"dstream_sandbox.{name}", f"--data={folder / name}", *options]
    with log.open("wb") as stderr, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline()), log
        finally:
            process.terminate()


@contextlib.contextmanager
def _control_socket(folder: Path) -> Iterator[Callable[[], socket.socket]]:
    path = folder / "control.sock"

    def connect() -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(str(path))
        return client

    served = ControlSocket(path, lambda request, _: {"task": "orders"} if request == "status" else {}[request])
    served.start()
    yield connect
    served.close()


def _tcp(port: int) -> Callable[[], socket.socket]:
    return lambda: socket.create_connection(("127.0.0.1", port), timeout=_WITHIN_S)


def _client_hello() -> bytes:
    context = ssl.create_default_context()
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def prelogin(encryption: int) -> bytes:
    options = [
        (0, bytes(6)),
        (1, bytes([encryption])),
        (2, b"\0"),
        (3, bytes(4)),
        (4, b"\1"),
        (6, b"\1"),
        (7, bytes(32)),
    ]
    head, body = b"", b""
    for token, value in options:
        head += struct.pack(">BHH", token, 5 * len(options) + 1 + len(body), len(value))
        body += value
    return packet(0x12, 1, head + b"\xff" + body)


_HELLO = _client_hello()
_LOGIN = login_payload("wrong")
_TDS = (
    prelogin(2) + packet(0x10, 1, _LOGIN),
    prelogin(2) + packet(0x10, 0, _LOGIN[:50]) + packet(0x10, 1, _LOGIN[50:]),
    prelogin(2) + packet(0x10, 1, login_payload("wrong", federated=True)),
    prelogin(1) + packet(0x12, 1, _HELLO),
    packet(0x10, 1, _LOGIN),
    b"POST /_sandbox/faults HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nAuthorization: Bearer x\r\n\r\n{}",
)
_OPEN = frames.frame(
    0,
    0,
    encode_composite(
        Code.OPEN,
        ["fuzz", "localhost", UInt(65536), None, UInt(60000), None, None, None, None, {Symbol("product"): "x"}],
    ),
)
_SASL = frames.SASL_HEADER + frames.frame(
    1, 0, encode_composite(Code.SASL_INIT, [Symbol("PLAIN"), b"\0name\0key", "localhost"])
)
_ANONYMOUS = frames.SASL_HEADER + frames.frame(1, 0, encode_composite(Code.SASL_INIT, [Symbol("ANONYMOUS"), b""]))
_BEGIN = frames.frame(0, 0, encode_composite(Code.BEGIN, [None, UInt(0), UInt(1000), UInt(1000)]))
_UPGRADE = b"GET /$servicebus/websocket HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAA\r\n\r\n"
_SAID = _ANONYMOUS + frames.AMQP_HEADER + _OPEN + _BEGIN
_AMQP = (
    _SAID + frames.frame(0, 0, performatives.close(None)),
    _SAID,
    _SASL + frames.AMQP_HEADER + _OPEN,
    frames.AMQP_HEADER + _OPEN + _BEGIN + frames.EMPTY_FRAME,
    _UPGRADE + b"\x82\xfe" + struct.pack(">H", len(_SAID)) + bytes(4) + _SAID,
)
_HTTP = (
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /$Resources/queues?api-version=2021-05&$skip=0&$top=100 HTTP/1.1\r\nHost: localhost\r\nAuthorization: SharedAccessSignature "
    b"sr=http%3A%2F%2Flocalhost%2F&sig=AAAA&se=9999999999&skn=RootManageSharedAccessKey\r\n\r\n",
    b"PUT /orders HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5\r\n<a/> \r\n0\r\n\r\n",
    b"POST /_sandbox/faults HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16\r\nAuthorization: Bearer x\r\n\r\n{\"kind\": \"kill\"}",
    b"GET http://[::1]:80/a%00%ff HTTP/1.0\r\nHost: [::1]:80\r\nConnection: keep-alive\r\n\r\n",
    _HELLO,
)  # fmt: skip
_CONTROL = (
    b'{"request":"status"}\n',
    b'{"request":"stop"}\n{"request":"snapshot","tables":["dbo.Orders"]}\n',
    b'{"request":{"a":[1e400,null]}}\n[]\n"status"\n\xff\n',
)


def main(count: int, first: int) -> None:
    sys.stdout.write(f"Before the login, from seed {first}:\n")
    with tempfile.TemporaryDirectory() as name, targets(Path(name)) as found:
        for target in found:
            started_s = time.monotonic()
            check(target, range(first, first + count))
            sys.stdout.write(
                f"  {target.name}: {count:,} inputs in {time.monotonic() - started_s:.0f} s, {target.first_mib:.1f} MiB "
                f"after {CHECK_EVERY}, {rss_mib(target):.1f} MiB at the end\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**9))
