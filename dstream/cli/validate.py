"""`dstream validate`."""

from __future__ import annotations

import json

import click

from dstream.cli.options import Options, with_options
from dstream.cli.project import load_project, spec_of
from dstream.errors import ConfigError, ConfigErrors
from dstream.host import check_role


@click.command(epilog="\b\nExample:\n  dstream validate -c dstream.hcl")
@with_options
def validate(options: Options) -> None:
    """Check the file, its references and its providers' roles, and report everything that is wrong at once.

    Providers are started only to say what they are; nothing is connected to.
    """
    project = load_project(options)
    errors: list[ConfigError] = []
    for task in project.tasks.values():
        for block in (task.input, task.output):
            try:
                check_role(spec_of(block, project), block.role, cwd=project.folder, timeout_s=task.start_timeout_s)
            except ConfigError as error:
                errors.append(error)
    if errors:
        raise ConfigErrors(errors)
    if options.as_json:
        click.echo(json.dumps({"schema_version": 1, "valid": True, "tasks": list(project.tasks)}))
    else:
        count = len(project.tasks)
        click.echo(f"{project.path}: {count} task{'' if count == 1 else 's'}, no errors.")
