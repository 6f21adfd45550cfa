"""Atom documents of the admin API: entries, feeds and errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.sax.saxutils import escape, quoteattr

from dstream_sandbox.servicebus.admin.durations import format_moment
from dstream_sandbox.servicebus.admin.names import ATOM, SB, XSI
from dstream_sandbox.servicebus.broker.errors import EntityInvalid

__all__ = ["Entry", "content_of", "empty_feed", "entry_document", "error_document", "feed_document"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entity as the API returns it."""

    url: str
    title: str
    author: str
    published_at: float
    updated_at: float
    kind: str
    """The element of the content, such as QueueDescription."""
    content: str


def entry_document(entry: Entry) -> bytes:
    return _entry(entry, f' xmlns="{ATOM}"').encode()


def feed_document(title: str, url: str, entries: Sequence[Entry], next_url: str | None, now: float) -> bytes:
    link = f'<link rel="next" href={quoteattr(next_url)}/>' if next_url else ""
    return (
        f'<feed xmlns="{ATOM}"><title type="text">{escape(title)}</title><id>{escape(url)}</id>'
        f'<updated>{format_moment(now)}</updated><link rel="self" href={quoteattr(url)}/>{link}'
        f"{''.join(_entry(entry, '') for entry in entries)}</feed>"
    ).encode()


def empty_feed(now: float) -> bytes:
    """The service's response if a single entity does not exist; SDKs interpret it as 'not found'."""
    return (
        f'<feed xmlns="{ATOM}"><title type="text">Publicly Listed Services</title>'
        '<subtitle type="text">This is the list of publicly-listed services currently available.</subtitle>'
        f"<id>uuid:{uuid4()};id=1</id><updated>{format_moment(now)}</updated>"
        "<generator>Service Bus 1.1</generator></feed>"
    ).encode()


def error_document(status: int, detail: str, now: float) -> bytes:
    tracking = f"TrackingId:{uuid4()}_G0, SystemTracker:sandbox, Timestamp:{format_moment(now)[:19]}"
    return f"<Error><Code>{status}</Code><Detail>{escape(detail)} {tracking}</Detail></Error>".encode()


def content_of(body: bytes) -> Element:
    """Return the description in an entry's content. Raises EntityInvalid."""
    if b"<!DOCTYPE" in body:
        raise EntityInvalid("SubCode=40000. Bad Request. A document type is not allowed.")
    try:
        entry = fromstring(body)
    except ParseError as exc:
        raise EntityInvalid(f"SubCode=40000. Bad Request. The body is not valid XML: {exc}.") from exc
    content = entry.find(f"{{{ATOM}}}content")
    if entry.tag != f"{{{ATOM}}}entry" or content is None or len(content) != 1:
        raise EntityInvalid("SubCode=40000. Bad Request. The body must be an Atom entry with one description in it.")
    return content[0]


def _entry(entry: Entry, namespace: str) -> str:
    return (
        f'<entry{namespace}><id>{escape(entry.url)}</id><title type="text">{escape(entry.title)}</title>'
        f"<published>{format_moment(entry.published_at)}</published><updated>{format_moment(entry.updated_at)}</updated>"
        f'<author><name>{escape(entry.author)}</name></author><link rel="self" href={quoteattr(entry.url)}/>'
        f'<content type="application/xml"><{entry.kind} xmlns="{SB}" xmlns:i="{XSI}">{entry.content}</{entry.kind}>'
        "</content></entry>"
    )
