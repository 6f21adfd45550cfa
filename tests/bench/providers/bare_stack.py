"""Pulumi's Automation API alone, with DStream's program: `bare_stack.py FOLDER QUEUES COMMAND`.

Commands: up, preview, status, destroy. Prints how many seconds the call to the engine took.
"""

import os
import sys
import time
from pathlib import Path

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
os.environ["GRPC_VERBOSITY"] = "ERROR"

from dstream_stacks.arm_program import arm_program
from dstream_stacks.spec import Namespace, Queue, ResourceGroup, ServiceBusSpec
from pulumi import automation

from dstream.infra.engine.cli import find_engine


def main(folder: Path, queues: int, command: str) -> None:
    spec = ServiceBusSpec(
        resource_group=ResourceGroup(name="sandbox"),
        namespace=Namespace(name="sandbox"),
        queues=tuple(
            Queue(name=f"bare-{number}", duplicate_detection=True, duplicate_detection_window_s=600.0)
            for number in range(queues)
        ),
    )
    (folder / "work").mkdir(parents=True, exist_ok=True)
    (folder / "state").mkdir(exist_ok=True)
    workspace = automation.LocalWorkspace(
        work_dir=str(folder / "work"),
        program=arm_program(spec),
        project_settings=automation.ProjectSettings("bare", "python"),
        pulumi_command=automation.PulumiCommand(root=str(find_engine(os.environ).path.parent.parent)),
        env_vars={"PULUMI_BACKEND_URL": (folder / "state").as_uri(), "PULUMI_CONFIG_PASSPHRASE": "benchmark"},
    )
    stack = automation.Stack.create_or_select("dev", workspace)
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


main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
