"""Leaving DStream: the plain `pulumi` CLI continues with the infrastructure that `dstream init` created.

Python programs need `pulumi-language-python`, which comes with Pulumi's installer but not with the CLI as a Go module.
Instead, the engine attaches to the SDK's own language server, which runs the program's file.
"""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
from dstream_stacks.arm_program import arm_program
from dstream_stacks.spec import Namespace, Queue, ResourceGroup, ServiceBusSpec, Subscription, Topic, as_document
from dstream_stacks.stack_config import stack_config
from google.protobuf import empty_pb2
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2

from tests.integration.engine import Stack, engine_folder
from tests.integration.stacks.cloud import Cloud

PROGRAM = Path(__file__).parents[3] / "stacks" / "servicebus"
SPEC = ServiceBusSpec(
    resource_group=ResourceGroup(name="rg"),
    namespace=Namespace(name="sb-orders"),
    queues=(Queue(name="orders", duplicate_detection=True, lock_duration_s=30),),
    topics=(Topic(name="events", subscriptions=(Subscription(name="audit"),)),),
)


class Language(LanguageServer):
    """The SDK's server, with the calls that only a separate language host receives."""

    def Handshake(self, request: Any, context: Any) -> Any:
        from pulumi.runtime.proto import language_pb2

        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="3.272.0")

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    cloud = Cloud()
    yield cloud
    cloud.stop()


@pytest.fixture
def language(tmp_path: Path) -> Iterator[int]:
    """The port of a language host that runs the project's program."""
    main = tmp_path / "left" / "__main__.py"
    server = grpc.server(futures.ThreadPoolExecutor(4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(
        Language(lambda: runpy.run_path(str(main), run_name="__main__")), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


def test_pulumi_continues_where_dstream_stopped(cloud: Cloud, language: int, tmp_path: Path) -> None:
    engine = Stack(tmp_path / "stack", {"azure-native": cloud.port}, stack_config(SPEC))
    engine.apply(arm_program(SPEC))
    shutil.copytree(PROGRAM, tmp_path / "left")
    shutil.copy(tmp_path / "stack" / "Pulumi.dev.yaml", tmp_path / "left")

    def pulumi(*arguments: str) -> str:
        done = subprocess.run(
            [engine_folder() / "bin" / "pulumi", *arguments, "--stack", "dev", "--non-interactive"],
            cwd=tmp_path / "left",
            env={**os.environ, **engine.environment, "PULUMI_DEBUG_LANGUAGES": f"python:{language}"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "5 unchanged" in pulumi("preview", "--expect-no-changes")

    changed = msgspec.structs.replace(SPEC, queues=(msgspec.structs.replace(SPEC.queues[0], max_delivery_count=5),))
    pulumi("config", "set", "servicebus:spec", msgspec.json.encode(as_document(changed)).decode())
    pulumi("up", "--yes")
    queue = next(inputs for resource_id, inputs in cloud.resources.items() if resource_id.endswith("/queues/orders"))
    assert queue["maxDeliveryCount"] == 5
