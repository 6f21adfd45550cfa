"""The meaning of each line before ready."""

from __future__ import annotations

import codecs

import pytest

from dstream.protocol.handshake import (
    Greeted,
    Handshake,
    LateHello,
    Payload,
    Prose,
    Ready,
    Refused,
    Told,
    speaks_this_version,
)
from dstream.protocol.messages import BadLine, ErrorBody, Heartbeat, Hello, decode_control

HELLO = b'{"dstream":"hello","protocol":1,"role":"input","name":"counter","capabilities":["checkpoint"],"new":1}'


def greeted() -> Handshake:
    handshake = Handshake()
    handshake.heard(HELLO)
    return handshake


def asked() -> Handshake:
    handshake = greeted()
    handshake.asked()
    return handshake


def test_hello_is_kept_with_its_capabilities() -> None:
    handshake = Handshake()
    step = handshake.heard(HELLO)
    assert isinstance(step, Greeted)
    assert handshake.hello == step.hello == Hello(1, "input", "counter", capabilities=["checkpoint"])
    assert not handshake.is_ready


def test_ready_answers_line_1() -> None:
    handshake = asked()
    assert handshake.heard(b'{"status":"ready","extra":true}') == Ready()
    assert handshake.is_ready


def test_ready_before_line_1_is_a_bad_line() -> None:
    handshake = greeted()
    with pytest.raises(BadLine, match="before the host had written line 1"):
        handshake.heard(b'{"status":"ready"}')
    assert not handshake.is_ready


def test_an_error_status_carries_its_body() -> None:
    line = b'{"status":"error","message":"m","error":{"code":"x.y","kind":"auth","message":"m","hint":"h"}}'
    assert asked().heard(line) == Refused(ErrorBody("x.y", "auth", "m", "h"))


def test_a_legacy_error_status_has_only_a_message() -> None:
    assert asked().heard(b'{"status":"error","message":"no login"}') == Refused(
        ErrorBody("provider.failed", "system", "no login")
    )


def test_an_error_line_can_arrive_before_line_1() -> None:
    line = b'{"dstream":"error","code":"a.b","kind":"config","message":"m","config_path":"tables[0]"}'
    assert greeted().heard(line) == Refused(ErrorBody("a.b", "config", "m", "", "tables[0]"))


def test_telemetry_can_arrive_at_any_time_after_hello() -> None:
    assert greeted().heard(b'{"dstream":"heartbeat"}') == Told(Heartbeat(), b'{"dstream":"heartbeat"}')


def test_unknown_control_kinds_are_ignored() -> None:
    assert greeted().heard(b'{"dstream":"from_the_future","x":1}') is None


def test_text_before_hello_is_shown_and_its_first_line_kept() -> None:
    handshake = Handshake()
    assert handshake.heard(b"") == Prose(b"")
    assert handshake.heard(b"Starting") == Prose(b"Starting")
    assert handshake.heard(b"more") == Prose(b"more")
    assert handshake.first_prose == b"Starting"
    assert isinstance(handshake.heard(HELLO), Greeted)


@pytest.mark.parametrize("line", [b'{"data":{}}', b'{"status":"Success"}', b"{", b'{"dstrea'])
def test_json_before_hello_means_a_legacy_provider_that_is_ready(line: bytes) -> None:
    handshake = Handshake()
    assert handshake.heard(line) == Payload(line)
    assert handshake.is_legacy
    assert handshake.is_ready


def test_a_legacy_provider_can_answer_with_a_status() -> None:
    handshake = Handshake()
    assert handshake.heard(b'{"status":"ready"}') == Ready()
    assert handshake.is_legacy
    refusing = Handshake()
    assert refusing.heard(b'{"status":"error","message":"no login"}') == Refused(
        ErrorBody("provider.failed", "system", "no login")
    )
    assert not refusing.is_ready


def test_a_silent_legacy_provider_has_no_control_lines_but_a_late_hello() -> None:
    handshake = Handshake()
    handshake.treat_as_legacy()
    assert handshake.is_legacy
    assert handshake.heard(b"prose") == Prose(b"prose")
    assert handshake.heard(HELLO) == LateHello()
    assert handshake.heard(b'{"dstream":"heartbeat"}') == Payload(b'{"dstream":"heartbeat"}')


def test_a_provider_that_sent_hello_is_not_legacy() -> None:
    handshake = greeted()
    handshake.treat_as_legacy()
    assert not handshake.is_legacy


@pytest.mark.parametrize("line", [b'{"dstream":"heartbeat"}', b'{"dstream":"hello"}', b'{"dstream":'])
def test_the_first_control_line_must_be_a_complete_hello(line: bytes) -> None:
    with pytest.raises(BadLine):
        Handshake().heard(line)


@pytest.mark.parametrize(
    "line",
    [
        b'{"data":{}}',
        b"prose",
        b"",
        HELLO,
        b'{"dstream":"ack","seq":1,"n":1}',
        b'{"dstream":"end","seq":0}',
        b'{"status":"Success"}',
    ],
)
def test_data_and_stream_lines_before_ready_are_bad_lines(line: bytes) -> None:
    with pytest.raises(BadLine):
        asked().heard(line)


def test_only_this_protocol_version_is_supported() -> None:
    assert speaks_this_version(Hello(1, "input", "x"))
    assert not speaks_this_version(Hello(2, "input", "x"))


@pytest.mark.parametrize(
    "line",
    [
        b'{"dstream":"\xff"}',
        b'{"dstream":"log","level":"info","event":"x","more":"\xff"}',
        b'{"dstream":"log","level":"info","event":"x","more":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    ],
    ids=["kind not UTF-8", "field not UTF-8", "nested too deeply"],
)
def test_an_unreadable_control_line_is_a_bad_line(line: bytes) -> None:
    with pytest.raises(BadLine):
        decode_control(line)


@pytest.mark.parametrize(
    ("line", "step"),
    [(HELLO, Greeted), (b'{"data":{"n":0},"metadata":{}}', Payload), (b'{"status":"ready"}', Ready)],
)
def test_a_byte_order_mark_hides_no_message_and_no_row(line: bytes, step: type[object]) -> None:
    heard = Handshake().heard(codecs.BOM_UTF8 + line)
    assert isinstance(heard, step)
    assert not isinstance(heard, Payload) or heard.line == line
