"""TLS inside TDS, [MS-TDS] 3.2.5.1: the handshake travels in PRELOGIN packets, what follows in the raw stream."""

from __future__ import annotations

import ssl
from pathlib import Path

from dstream_sandbox.sqlserver.tds.packets import MAX_LOGIN_BYTES, Message, MessageWriter, PacketType
from dstream_sandbox.sqlserver.tds.transport import Disconnected, Transport


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 at most: TDS 7 wraps the handshake, which leaves no place for the tickets that TLS 1.3 sends after it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def handshake(transport: Transport, context: ssl.SSLContext) -> None:
    """Perform the handshake and turn TLS on. Raises Disconnected if it fails."""
    tls, incoming, outgoing = transport.new_tls(context)
    while True:
        finished = _step(tls)
        if outgoing.pending:
            writer = MessageWriter(transport, PacketType.PRELOGIN)
            writer.write(outgoing.read())
            writer.finish()
        if finished:
            break
        incoming.write(Message(transport, MAX_LOGIN_BYTES).rest())
    transport.start_tls(tls)


def _step(tls: ssl.SSLObject) -> bool:
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError as error:
        raise Disconnected from error
    return True
