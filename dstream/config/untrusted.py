"""Checkouts that nobody has reviewed yet: what the file may not contain, where it may be, and how much time and memory
reading it may take.

The functions that such a file may not call are listed in `values/functions.py` and `gotemplate/sprig.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dstream.config.hcl.refusal import refusal
from dstream.config.model import Project
from dstream.config.values.cpu_limit import CpuLimitReached, cpu_limit
from dstream.config.values.memory_limit import memory_limit
from dstream.errors import RefusedError, SourceLocation

_MOST_CPU_S = 4.0
_MOST_MEMORY = 192 * 1024 * 1024
"""In bytes, beyond what the process has already. `plan` reads the file twice, and ends within 10 s and 500 MB."""


@contextmanager
def budget(path: Path) -> Iterator[None]:
    """Limit the CPU time and the memory of the body. Raises RefusedError."""
    try:
        with cpu_limit(_MOST_CPU_S), memory_limit(_MOST_MEMORY):
            yield
    except CpuLimitReached:
        raise _too_much(path, f"{_MOST_CPU_S:g} s of CPU time") from None
    except MemoryError:
        raise _too_much(path, f"{_MOST_MEMORY:,} bytes of memory") from None


def refuse_link(path: Path) -> None:
    """Raise RefusedError for a file that a symbolic link takes from outside its folder: errors show its lines."""
    if not path.resolve().is_relative_to(path.parent.resolve()):
        raise refusal("a symbolic link to a file elsewhere", SourceLocation(str(path)), "Replace it with the file.")


def refuse_programs(project: Project) -> None:
    """Raise RefusedError for programs that the file names, and for records and logs that it leads elsewhere.

    A provider_ref depends on more than the file (`plugins.refuse_untrusted_reference`).
    """
    of_tasks = [block for task in project.tasks.values() for block in task.providers]
    for block in (*of_tasks, *project.deployments.values()):
        if block.provider_path is not None:
            raise refusal("provider_path", block.place)
        if block.environ:
            raise refusal("env of a provider", block.place)
    infrastructure = project.settings.infrastructure
    place = SourceLocation(str(project.path), block="dstream")
    if infrastructure.program is not None:
        raise refusal("infrastructure.program", place)
    if infrastructure.backend_url is not None:
        raise refusal("infrastructure.backend_url", place, "Set PULUMI_BACKEND_URL instead.")
    if infrastructure.secrets_provider is not None:
        raise refusal("infrastructure.secrets_provider", place)
    if project.settings.state.url is not None:
        raise refusal("state.url", place, "Set DSTREAM_STATE_URL instead.")
    folder = project.folder.resolve()
    paths = {
        "state.path": project.settings.state.path,
        "infrastructure.work_dir": infrastructure.work_dir,
        "audit.file": project.settings.audit.file,
    }
    for name, path in paths.items():
        if path and not (folder / Path(path).expanduser()).resolve().is_relative_to(folder):
            raise refusal(f"{name} outside the folder of the file", place)


def _too_much(path: Path, limit: str) -> RefusedError:
    return RefusedError(
        "untrusted.budget",
        f"reading the configuration takes more than {limit}",
        place=SourceLocation(str(path)),
        hint="Review the file. Without --static, --untrusted and DSTREAM_UNTRUSTED, there is no such limit.",
    )
