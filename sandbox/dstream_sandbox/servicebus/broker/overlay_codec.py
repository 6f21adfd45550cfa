"""Encodes overlays as an AMQP list, so that every value keeps its exact type across a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from dstream_sandbox.servicebus.amqp.decode import decode
from dstream_sandbox.servicebus.amqp.encode import encode
from dstream_sandbox.servicebus.broker.entry import Overlay

__all__ = ["decode_overlay", "encode_overlay"]


def encode_overlay(overlay: Overlay) -> bytes:
    return encode([dict(overlay.properties), overlay.dead_letter_source])


def decode_overlay(data: bytes) -> Overlay:
    properties, source = cast("tuple[Mapping[str, object], str | None]", decode(data)[0])
    return Overlay(dict(properties), source)
