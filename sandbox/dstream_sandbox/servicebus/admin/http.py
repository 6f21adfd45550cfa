"""The part of HTTP/1.1 that the admin endpoint needs (RFC 9112): requests with bodies, persistent connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["BadRequest", "Handler", "Request", "Response", "serve_connection"]

_MAX_HEAD = 64 * 1024
_MAX_BODY = 1024 * 1024
_WITHIN_S = 120.0
"""For a request to arrive, including the time between two, and for its response to be read: the time-out of idle
connections of Windows' HTTP server (Microsoft, "HTTP Server API", "Timeouts")."""


class BadRequest(Exception):
    """A malformed request; the connection is closed after the error response."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str  # decoded, without the query
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    scheme: str

    @property
    def host(self) -> str:
        return self.headers.get("host", "localhost")


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str = "application/atom+xml;type=entry;charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Response]]


async def serve_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler, scheme: str
) -> None:
    """Handle requests until the client closes the connection or requests its closing. Raises TimeoutError if it does
    neither."""
    keep = True
    while keep:
        try:
            async with asyncio.timeout(_WITHIN_S):
                request, keep = await _read_request(reader, writer, scheme)
        except BadRequest as exc:
            keep, response = False, Response(400, str(exc).encode(), "text/plain")
            request = None
        else:
            if request is None:
                return
            response = await handler(request)
        writer.write(_encode(response, keep=keep, head_only=request is not None and request.method == "HEAD"))
        async with asyncio.timeout(_WITHIN_S):
            await writer.drain()


async def _read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, scheme: str
) -> tuple[Request | None, bool]:
    """Return the next request, None at the end of the connection, and whether the connection stays open after it."""
    head = await _read_head(reader)
    if head is None:
        return None, False
    method, target, version, headers = _parse_head(head)
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _read_body(reader, headers)
    try:
        parts = urlsplit(target)
    except ValueError as exc:
        raise BadRequest("The target of the request is not a URL.") from exc
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    connection = headers.get("connection", "").lower()
    keep = connection != "close" and (version == "HTTP/1.1" or connection == "keep-alive")
    return Request(method, unquote(parts.path), query, headers, body, scheme), keep


async def _read_head(reader: asyncio.StreamReader) -> bytes | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as exc:
        if exc.partial.strip():
            raise BadRequest("The request ends within its head.") from exc
        return None
    except asyncio.LimitOverrunError as exc:
        raise BadRequest(f"The head of a request can have at most {_MAX_HEAD} octets.") from exc
    return head.lstrip(b"\r\n")


def _parse_head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    try:
        method, target, version = first.split(" ")
    except ValueError as exc:
        raise BadRequest("The request line must be method, target and version.") from exc
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(f"{version} is not supported.")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest("A header must be a name, a colon and a value.")
        headers[name.lower()] = value.strip()
    return method, target, version, headers


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    try:
        if headers.get("transfer-encoding", "identity").lower() == "chunked":
            return await _read_chunks(reader)
        length = int(headers.get("content-length", "0"))
        if not 0 <= length <= _MAX_BODY:
            raise BadRequest(f"The body of a request can have at most {_MAX_BODY} octets.")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as exc:
        raise BadRequest("The body of the request does not match its declared length.") from exc


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        if len(body) + size > _MAX_BODY:
            raise BadRequest(f"The body of a request can have at most {_MAX_BODY} octets.")
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while (await reader.readuntil(b"\r\n")) != b"\r\n":
        pass  # trailers are ignored
    return body


def _encode(response: Response, *, keep: bool, head_only: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Content-Length: {len(response.body)}",
        "Server: Microsoft-HTTPAPI/2.0",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    if response.body:
        lines.append(f"Content-Type: {response.content_type}")
    if not keep:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head if head_only else head + response.body
