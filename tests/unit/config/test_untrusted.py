"""With `untrusted`, a file cannot name programs or read the machine, whatever it hides that behind."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dstream.config import untrusted
from dstream.config.values.cpu_limit import CpuLimitReached, cpu_limit
from dstream.errors import RefusedError

TASK = """
task "t" {{
  input {{ {input} }}
  output {{ provider = "b" }}
}}
"""

REFUSED = {
    "an environment variable": 'locals { x = env("HOME") }',
    "one with a default": 'locals { x = env("NO_SUCH", "x") }',
    "one behind try()": 'locals { x = try(env("HOME"), "x") }',
    "one behind can()": 'locals { x = can(env("HOME")) }',
    "one of a template": 'locals { x = "{{ env "HOME" }}" }',
    "one with a template's default": 'locals { x = "{{ env "NO_SUCH" | default "x" }}" }',
    "one tested by a template": 'locals { x = "{{ if env "HOME" }}a{{ end }}" }',
    "several of a template": 'locals { x = "{{ expandenv "$HOME" }}" }',
    "a file": 'locals { x = file("dstream.hcl") }',
    "whether a file exists": 'locals { x = fileexists("dstream.hcl") }',
    "a template file": 'locals { x = templatefile("dstream.hcl", {}) }',
    "a secret in the environment": 'locals { x = secret("env:HOME") }',
    "a secret in a file": 'locals { x = secret("file:dstream.hcl") }',
    "a secret in a vault": 'locals { x = secret("azurekeyvault://a/b") }',
    "a program as a provider": TASK.format(input='provider_path = "./a"'),
    "a program as a transform": TASK.format(input='provider = "a"').rstrip("}\n")
    + '}\n  transform { provider_path = "./a" }\n}',
    "the environment of a program": TASK.format(input='\nprovider = "a"\nenv = { LD_PRELOAD = "./a.so" }\n'),
    "a program hook": 'dstream { infrastructure { program = "infra.py" } }',
    "a state backend": 'dstream {\n state {\n backend = "azblob"\n url = "https://example.com/c"\n }\n}',
    "a backend": 'dstream { infrastructure { backend_url = "https://example.com" } }',
    "a secrets provider": 'dstream { infrastructure { secrets_provider = "azurekeyvault://a/b" } }',
    "a work folder elsewhere": 'dstream { infrastructure { work_dir = "../x" } }',
    "a state folder elsewhere": 'dstream { state { path = "/etc" } }',
    "an audit log elsewhere": 'dstream { audit { file = "/var/log/audit.jsonl" } }',
    "a state folder in the home": 'dstream { state { path = "~/x" } }',
}


def _on_lines(text: str) -> str:
    """Blocks with blocks in them cannot be on one line."""
    return text.replace("dstream { ", "dstream {\n").replace(" } }", " }\n}") if text.startswith("dstream") else text


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_runs_programs_or_reads_the_machine_is_refused(text: str, load_text: Callable[..., Any]) -> None:
    with pytest.raises(RefusedError) as raised:
        load_text(_on_lines(text), environ={"HOME": "/home/a"}, is_untrusted=True)
    assert raised.value.code == "untrusted.refused"
    assert raised.value.place
    assert raised.value.place.file.endswith("dstream.hcl")


def test_what_is_harmless_is_allowed(load_text: Callable[..., Any]) -> None:
    text = 'variable "x" {}\nlocals { y = "{{ upper "a" }}${upper(var.x)}" }' + TASK.format(input='provider = "a"')
    project = load_text(text, environ={"DSTREAM_VAR_x": "b"}, is_untrusted=True)
    assert list(project.tasks) == ["t"]


MANY = f'locals {{ x = [for n in range(1000): join("", [for m in range(100): "{"a" * 1000}${{n}}"])] }}'
LONG = "locals { x = " + "[for a in range(1000): " * 4 + "1" + "]" * 4 + " }"


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Hypothesis measures the garbage collector with a callback, in which Python would drop an exception."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
def test_evaluation_that_takes_too_long_is_refused(
    load_text: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(untrusted, "_MOST_CPU_S", 0.2)
    with pytest.raises(RefusedError, match="CPU time"):
        load_text(LONG, is_untrusted=True)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit needs Linux")
def test_evaluation_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    """In a process of its own: this one may have memory to reuse."""
    file = tmp_path / "dstream.hcl"
    file.write_text(MANY)
    script = (
        "import pathlib, sys\nfrom dstream.config import load, untrusted\nuntrusted._MOST_MEMORY = 32 << 20\n"
        "load(pathlib.Path(sys.argv[1]), environ={}, is_untrusted=True)"
    )
    done = subprocess.run([sys.executable, "-c", script, file], capture_output=True, text=True, check=False)
    assert "RefusedError: reading the configuration takes more than 33,554,432 bytes of memory" in done.stderr


@pytest.mark.usefixtures("uncollected")
def test_a_limit_within_a_limit_leaves_the_outer_one_in_force() -> None:
    def many_limits() -> None:
        with cpu_limit(0.1):
            while True:
                with cpu_limit(0.05):
                    sum(range(1000))

    with pytest.raises(CpuLimitReached):
        many_limits()
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
