from __future__ import annotations

import subprocess
import sys

from dstream_sandbox.azure.values import UNKNOWN, has_unknown
from dstream_sandbox.azure.wire import from_struct, to_struct

_SIGNATURE = "4dabf18193072939515e22adb298388d"


def test_values_survive_a_round_trip() -> None:
    values = {"text": "a", "flag": True, "number": 1.5, "whole": 3, "list": ["a", {"b": False}], "unknown": UNKNOWN}
    assert from_struct(to_struct(values)) == values
    assert isinstance(from_struct(to_struct(values))["whole"], int)


def test_null_values_are_omitted() -> None:
    assert from_struct(to_struct({"a": None, "b": 1})) == {"b": 1}


def test_secrets_and_outputs_become_their_values() -> None:
    secret = {_SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "value": "hidden"}
    output = {_SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4"}
    values = from_struct(to_struct({"secret": secret, "output": output}))
    assert values == {"secret": "hidden", "output": UNKNOWN}
    assert has_unknown(values)


def test_the_engines_unknown_value_is_recognized() -> None:
    from pulumi.runtime import rpc

    assert from_struct(to_struct({"a": rpc.UNKNOWN})) == {"a": UNKNOWN}


def test_the_messages_do_not_import_pulumis_sdk_but_work_with_it() -> None:
    code = (
        "import sys; from dstream_sandbox.azure import protocol; assert 'pulumi' not in sys.modules;"
        "import pulumi, pulumi.automation; from pulumi.runtime.proto import provider_pb2;"
        "assert provider_pb2 is protocol.provider_pb2; print(pulumi.Output.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "Output", done.stderr
