"""`dstream deploy`: the lifecycle commands for deployments of tasks instead of their infrastructure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from dstream.cli.lifecycle.commands import destroy, init, plan, status
from dstream.cli.options import Options

_NOT_FOR_DEPLOYMENTS = ("target", "target_dependents", "orphan")
"""`--target` names the deployment; `--exclude` leaves out single resources."""


@click.group(
    epilog="\b\nExamples:\n  dstream deploy plan orders --target aca\n  dstream deploy init orders --target aca"
)
def deploy() -> None:
    """Deploy tasks to a platform, as a deployment block describes it.

    The commands are those for infrastructure: init applies a plan after confirmation, and status shows drift.
    """


def _deploying(command: click.Command, text: str, *examples: str) -> click.Command:
    """Return the command for deployments: with the same options, except that --target names the deployment."""

    def run(deployment: str, **given: Any) -> Any:
        context = click.get_current_context()
        context.obj = replace(context.obj or Options(), deployment=deployment)
        assert command.callback is not None
        return command.callback(**given)

    target = click.Option(
        ["--target", "deployment"],
        default="",
        metavar="NAME",
        help="The deployment; default: the only one in the file.",
    )
    every = click.Option(["--all", "all_tasks"], is_flag=True, help="All tasks and the shared resources.")
    kept = [
        every if each.name == "all_tasks" else each for each in command.params if each.name not in _NOT_FOR_DEPLOYMENTS
    ]
    epilog = "\b\nExamples:\n" + "\n".join(f"  dstream deploy {command.name} {example}" for example in examples)
    return click.Command(command.name, callback=run, params=[*kept, target], help=text, epilog=epilog)


deploy.add_command(
    _deploying(
        plan,
        "Preview changes to the deployment of each TASK.\n\n"
        "Includes the shared resources, which all tasks of the deployment use, such as an environment. "
        "Changes nothing.",
        "orders --target aca",
        "orders --target aca --destroy",
        "--all --target aca --out plan.json",
    )
)
deploy.add_command(
    _deploying(
        init,
        "Deploy or update each TASK and the shared resources.\n\n"
        "Shows the plan, asks for confirmation, and applies it. To change only the shared resources, use the name of "
        "the deployment as TASK.",
        "orders --target aca",
        "--target aca --plan plan.json --yes",
    )
)
deploy.add_command(
    _deploying(
        status,
        "Show drift of the deployment of each TASK.\n\n"
        "Compares the recorded with the actual resources, including the shared ones.",
        "orders --target aca",
        "--all --target aca --detailed-exitcode",
    )
)
deploy.add_command(
    _deploying(
        destroy,
        "Delete the deployment of each TASK, after confirmation.\n\n"
        "The shared resources are deleted only with --all, or if TASK is the name of the deployment.",
        "orders --target aca",
        "--all --target aca",
    )
)
