"""Pulumi's Automation API alone, with DStream's program: `bare_stack.py FOLDER MODE QUEUES COMMAND`.

Commands: up (which previews first, as `pulumi up` does), preview, status, destroy. Prints what the last call to the engine took, in seconds.
"""

import os
import sys
import time
from pathlib import Path

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
os.environ["GRPC_VERBOSITY"] = "ERROR"

from dstream_stacks.arm_program import arm_program
from dstream_stacks.entities_program import entities_program
from dstream_stacks.spec import Namespace, Queue, ResourceGroup, ServiceBusSpec
from pulumi import automation

from dstream.infra.engine.attachments import served
from dstream.infra.engine.cli import find_engine


def main(folder: Path, mode: str, queues: int, command: str) -> None:
    declared = tuple(
        Queue(name=f"bare-{number}", duplicate_detection=True, duplicate_detection_window_s=600.0)
        for number in range(queues)
    )
    if mode == "arm":
        group, namespace = ResourceGroup(name="sandbox"), Namespace(name="sandbox")
        program = arm_program(ServiceBusSpec(resource_group=group, namespace=namespace, queues=declared))
        _run(folder, program, command, {})
        return
    from azure.servicebus.management import ServiceBusAdministrationClient
    from dstream_servicebus.entities.resources import PACKAGE, entities_resources

    text = os.environ["ASB_ADMIN_CONNECTION_STRING"]
    resources = entities_resources(lambda: ServiceBusAdministrationClient.from_connection_string(text), frozenset())
    program = entities_program(ServiceBusSpec(mode="entities", queues=declared), exists=resources.exists)
    with served({PACKAGE: resources}, None) as ports:
        _run(folder, program, command, {"PULUMI_DEBUG_PROVIDERS": f"{PACKAGE}:{ports[PACKAGE]}"})


def _run(folder: Path, program: automation.PulumiFn, command: str, environment: dict[str, str]) -> None:
    (folder / "work").mkdir(parents=True, exist_ok=True)
    (folder / "state").mkdir(exist_ok=True)
    workspace = automation.LocalWorkspace(
        work_dir=str(folder / "work"),
        program=program,
        project_settings=automation.ProjectSettings("bare", "python"),
        pulumi_command=automation.PulumiCommand(root=str(find_engine(os.environ).path.parent.parent)),
        env_vars={
            "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "benchmark",
            **environment,
        },
    )
    stack = automation.Stack.create_or_select("dev", workspace)
    if command == "up":
        stack.preview()
    began = time.perf_counter()
    if command == "up":
        stack.up()
    elif command == "preview":
        stack.preview(refresh=True)
    elif command == "status":
        stack.preview_refresh()
    else:
        stack.destroy(remove=True)
    sys.stdout.write(f"{time.perf_counter() - began}\n")


main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
