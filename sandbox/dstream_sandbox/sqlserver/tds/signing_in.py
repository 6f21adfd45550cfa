"""From the first byte to a session: PRELOGIN, TLS, LOGIN7 and the login response."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from dstream_sandbox.sqlserver.session import Engine, Message, Session, SqlError
from dstream_sandbox.sqlserver.tds import packets, tokens
from dstream_sandbox.sqlserver.tds.byte_reader import ProtocolError
from dstream_sandbox.sqlserver.tds.collations import collation
from dstream_sandbox.sqlserver.tds.login import (
    FEATURE_FED_AUTH,
    FEATURE_SESSION_RECOVERY,
    FEATURE_UTF8,
    TDS_7_3,
    TDS_7_4,
    Login,
    parse_login,
)
from dstream_sandbox.sqlserver.tds.packets import DEFAULT_PACKET_BYTES, MessageWriter, PacketType
from dstream_sandbox.sqlserver.tds.prelogin import (
    Encryption,
    Prelogin,
    agreed_encryption,
    parse_prelogin,
    prelogin_answer,
)
from dstream_sandbox.sqlserver.tds.tls import handshake
from dstream_sandbox.sqlserver.tds.transport import Transport

_LANGUAGE = "us_english"

_MAX_ENCRYPTED_PACKET_BYTES = 16383
"""Microsoft Learn, "Server configuration: network packet size". Microsoft's driver hangs on larger packets."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A client that has logged in."""

    session: Session
    login: Login


def sign_in(
    transport: Transport,
    context: ssl.SSLContext,
    engine: Engine,
    disturb: Callable[[str, str], None],
    arrived: Callable[[], None],
) -> SignedIn | None:
    """Log a client in. None if the login was refused and the client notified. Raises Disconnected, ProtocolError.

    `disturb` applies the injected faults to a login to a database; it may raise SqlError. `arrived` is called once the
    client has sent its login.
    """
    client = _prelogin(transport)
    encryption = agreed_encryption(client.encryption)
    if encryption is not Encryption.NOT_SUPPORTED:
        handshake(transport, context)
    login = parse_login(_expect(transport, PacketType.LOGIN7).rest())
    arrived()
    if encryption is Encryption.OFF:
        transport.stop_tls()
    if encryption is Encryption.ON:
        login = replace(login, packet_bytes=min(login.packet_bytes, _MAX_ENCRYPTED_PACKET_BYTES))
    writer = MessageWriter(transport, PacketType.RESPONSE)
    try:
        disturb(login.user, login.database)
        session = _session(login, engine)
    except SqlError as error:
        for message in _refusal(error, login):
            writer.write(tokens.message_token(message))
        writer.write(tokens.done(tokens.DONE, tokens.HAS_ERROR))
        writer.finish()
        return None
    known = {FEATURE_FED_AUTH: client.nonce, FEATURE_UTF8: b"\x01"}
    if engine.recovers_sessions:
        known[FEATURE_SESSION_RECOVERY] = b""  # no session state: settings are not restored
    writer.write(_greeting(session, login, known))
    writer.finish()
    return SignedIn(session, login)


def _prelogin(transport: Transport) -> Prelogin:
    client = parse_prelogin(_expect(transport, PacketType.PRELOGIN).rest())
    writer = MessageWriter(transport, PacketType.RESPONSE)
    writer.write(prelogin_answer(client))
    writer.finish()
    return client


def _expect(transport: Transport, packet_type: PacketType) -> packets.Message:
    message = packets.Message(transport, packets.MAX_LOGIN_BYTES)
    if message.type != packet_type:
        raise ProtocolError(f"message of type {message.type} instead of {packet_type.name}")
    return message


def _session(login: Login, engine: Engine) -> Session:
    if login.tds_version < TDS_7_3:
        text = f"The sandbox supports TDS 7.3 and 7.4; the client requested 0x{login.tds_version:08X}."
        raise SqlError(17835, text, severity=20)
    if login.federated:
        if login.token is None:
            text = "The sandbox supports Microsoft Entra ID only for clients that send a token."
            raise SqlError(40000, text, severity=14)
        return engine.login_with_token(login.token, login.database, app=login.app, host=login.host)
    if login.integrated:
        text = "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication."
        raise SqlError(18452, text, severity=14)
    if login.changes_password:
        raise SqlError(40000, "The sandbox does not support changing the password at login.", severity=14)
    return engine.login(login.user, login.password, login.database, app=login.app, host=login.host)


def _refusal(error: SqlError, login: Login) -> list[Message]:
    messages = [Message(error.number, error.severity, error.state, error.text)]
    if error.number == 4060:  # SQL Server sends both messages
        messages.append(Message(18456, 14, 1, f"Login failed for user '{login.user}'."))
    return messages


def _greeting(session: Session, login: Login, known: Mapping[int, bytes]) -> bytes:
    """`known`: what the login response says about each feature that the server knows."""
    parts = [
        tokens.database_changed(session.database, "master"),
        tokens.message_token(Message(5701, 0, 2, f"Changed database context to '{session.database}'.")),
        tokens.collation_changed(collation(None).wire),
        tokens.language_changed(_LANGUAGE),
        tokens.message_token(Message(5703, 0, 1, f"Changed language setting to {_LANGUAGE}.")),
        tokens.login_acknowledged(min(login.tds_version, TDS_7_4)),
        tokens.packet_size_changed(login.packet_bytes, DEFAULT_PACKET_BYTES),
    ]
    if login.features:
        # The features in force; omitted features (Always Encrypted, ...) are refused.
        parts.append(tokens.features_acknowledged([each for each in known.items() if each[0] in login.features]))
    parts.append(tokens.done(tokens.DONE))
    return b"".join(parts)
