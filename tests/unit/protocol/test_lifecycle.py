"""Line 1 and the result line of lifecycle commands."""

from __future__ import annotations

import pytest

from dstream.protocol.lifecycle import ListedResource, decode_lifecycle_command, decode_result
from dstream.protocol.messages import BadLine, Diagnostic, Difference, Resource, decode_control, encode


def test_line_1_can_omit_fields_that_the_original_host_lacks() -> None:
    command = decode_lifecycle_command(b'{"command":"plan","config":{"a":1}}')
    assert (command.command, command.config, command.options.target) == ("plan", {"a": 1}, [])
    with pytest.raises(BadLine):
        decode_lifecycle_command(b'{"command":"explode"}')


@pytest.mark.parametrize(
    "line", [b'{"status":"ready"}', b'{"status":"error","message":"x"}', b'{"data":{}}', b"Success", b"{", b"[]"]
)
def test_a_line_that_is_not_a_result_decodes_to_none(line: bytes) -> None:
    assert decode_result(line) is None


def test_a_legacy_result_can_have_resource_names_and_a_text_error() -> None:
    result = decode_result(
        b'{"status":"Failed","resources":["queue-a",{"name":"b","Kind":3}],"metadata":null,"message":null,"error":"quota"}'
    )
    assert result is not None
    assert [each.name for each in result.resources] == ["queue-a", "b"]
    assert (result.metadata, result.message) == ({}, "")
    assert result.error is not None
    assert (result.error.kind, result.error.message) == ("system", "quota")


def test_a_result_keeps_every_field_of_a_resource() -> None:
    result = decode_result(
        b'{"status":"Success","resources":[{"name":"a","type":"t","op":"update","phase":"done",'
        b'"diff":[{"path":"p","old":1,"new":2}]}],"later":1}'
    )
    assert result is not None
    assert result.resources == [ListedResource("a", "t", "update", "done", [Difference("p", 1, 2)])]


def test_progress_and_diagnostics_are_control_lines() -> None:
    for message in (Resource("done", "create", "a", "t", [Difference("p", None, 1)]), Diagnostic("look", name="a")):
        assert decode_control(encode(message).rstrip()) == message
