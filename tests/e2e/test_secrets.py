"""Canaries in every place that can hold a secret never leak, whatever a provider does with its config."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from dstream.host import ask_host, socket_path
from tests.running import DStream, Sandbox, wait_until

TELLTALES = Path(__file__).parent / "telltales"

ENVIRONMENT = {
    "CANARY_ENV": "Zq7Env4Kx",
    "CANARY_READ": "Zq7Read4Kx,Zq7ReadToo4Kx",
    "CANARY_MARKED": 'Zq7Marked4Kx "quoted" \\ é/+=',
    "CANARY_LINES": "-----BEGIN KEY-----\nZq7LineA4KxZq7LineA4Kx\nZq7LineB4KxZq7LineB4Kx\n-----END KEY-----",
    "DSTREAM_VAR_pw": "Zq7Var4Kx",
}
CONFIG = """
      end               = "%(end)s"
      password          = "Zq7Literal4Kx"
      api_key           = env("CANARY_ENV")
      apikey            = "Zq7ApiKey4Kx"
      auth              = "Bearer Zq7Bearer4Kx"
      headers           = { Authorization = "Basic ${base64encode("reader:Zq7Basic4Kx")}" }
      client_secret     = var.pw
      greeting          = secret("env:CANARY_MARKED")
      certificate       = secret("env:CANARY_LINES")
      file              = secret("file:secret.txt")
      joined            = "prefix-${secret("file:joined.txt")}-suffix"
      note              = split(",", env("CANARY_READ"))
      letter            = "see ${file("letter.txt")}"
      picked            = env("CANARY_ENV") == "" ? "a" : base64encode(env("CANARY_READ"))
      rendered          = "{{ env "CANARY_READ" | replace "," ";" }}"
      encoded           = base64encode(secret("file:encoded.txt"))
      target            = "Server=db;User Id=reader;Password=Zq7Part4Kx;Encrypt=yes"
      braced            = "Server=db;PWD={Zq7;Braced4Kx};Encrypt=yes"
      bus               = "Endpoint=sb://ns/;SharedAccessKeyName=Root;SharedAccessKey=Zq7Sas4Kx/+==;EntityPath=q"
      storage           = "AccountName=a;AccountKey=Zq7Account4Kx/+=="
      link              = "amqps://user:Zq7Url4Kx@host/queue"
      connection_string = <<-EOT
        Server=db;
        Password=Zq7Heredoc4Kx;
      EOT
      nested            = { auth = { token = "Zq7Nested4Kx" }, tokens = ["Zq7List4Kx"] }
"""
MARKED_BY_SCHEMA = """
      pin               = "Zq7Schema4Kx"
      drawer            = { code = "Zq7Deep4Kx" }
      doors             = [{ code = "Zq7Item4Kx" }, { code = "Zq7Item4Kx\\"quoted" }]
      rooms             = { blue = "Zq7Room4Kx" }
"""
"""Settings whose names reveal nothing: only the provider's schema marks them as secret."""
HCL = """
variable "pw" {
  type = string
}
task "t" {
  input {
    provider_path = "%(folder)s/%(input)s.py"
    config {%(config)s    }
  }
  output {
    provider_path = "%(folder)s/%(output)s.py"
    config {%(config)s    }
  }
}
"""
CANARY = re.compile(r"Zq7;?[A-Za-z]+4Kx|WnE3RW5jb2RlZDRLe")
"""Any canary; the last alternative is "Zq7Encoded4Kx" in base64."""
PACKED = re.compile(r"[A-Za-z0-9_-]{8,}")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., DStream]:
    """`make(input, output, end)` returns a folder whose task is full of secrets and whose providers leak them."""

    def make(input_: str = "v1_input", output: str = "v1_output", end: str = "well") -> DStream:
        config = CONFIG % {"end": end} + (MARKED_BY_SCHEMA if input_.startswith("v1") else "")
        project = tmp_path / "project"
        project.mkdir()
        hcl = HCL % {"folder": TELLTALES, "input": input_, "output": output, "config": config}
        (project / "dstream.hcl").write_text(hcl)
        for name in ("secret", "joined", "encoded", "letter"):
            (project / f"{name}.txt").write_text(f"Zq7{name.title()}4Kx")
        return DStream(project, {**os.environ, **ENVIRONMENT})

    return make


def seen(text: str) -> list[str]:
    """The canaries in a text, each with the text around it, also in base64 and hexadecimal."""
    packed = "\n".join(unpacked(word[0]) for word in PACKED.finditer(text))
    return [
        all_[max(0, found.start() - 60) : found.end() + 20]
        for all_ in (text, packed)
        for found in CANARY.finditer(all_)
    ]


def unpacked(word: str) -> str:
    """What the word could mean in base64 (at any alignment) and in hexadecimal."""
    aligned = [
        base64.urlsafe_b64decode(("A" * shift + word + "AAA")[: (len(word) + shift + 3) // 4 * 4]) for shift in range(4)
    ]
    with contextlib.suppress(ValueError):
        aligned.append(bytes.fromhex(word))
    return "\n".join(each.decode("utf-8", "replace") for each in aligned)


def assert_clean(dstream: DStream, done: subprocess.CompletedProcess[str]) -> None:
    assert seen(done.stdout) == []
    assert seen(done.stderr) == []
    assert_files_clean(dstream)


def assert_files_clean(dstream: DStream) -> None:
    """Check state, locks and every other file that the user did not write."""
    own = {dstream.cwd / name for name in ("dstream.hcl", "secret.txt", "joined.txt", "encoded.txt", "letter.txt")}
    for path in dstream.cwd.rglob("*"):
        if path.is_file() and path not in own:
            assert seen(path.read_text(errors="replace")) == [], path


AS_JSON, AS_TEXT = ("--log-format", "json"), ("--log-format", "text", "--json")


@pytest.mark.parametrize(
    ("input_", "output", "log"),
    [
        ("v1_input", "v1_output", AS_JSON),
        ("v1_input", "v1_output", AS_TEXT),
        ("legacy_input", "legacy_output", AS_JSON),
        ("legacy_input", "legacy_output", AS_TEXT),
    ],
    ids=["v1-json", "v1-text", "legacy-json", "legacy-text"],
)
def test_providers_that_print_their_whole_config_leak_no_secrets(
    make: Callable[..., DStream], input_: str, output: str, log: tuple[str, ...]
) -> None:
    dstream = make(input_, output)
    done = dstream("run", "t", "-l", "debug", *log)
    assert done.returncode == 0, done.stderr
    assert "***" in done.stderr
    assert "User Id=reader" in done.stderr, "masks more than the secrets"
    assert_clean(dstream, done)


@pytest.mark.parametrize("end", ["refuses", "error", "crash", "bad_line", "state"])
def test_failing_providers_leak_no_secrets(make: Callable[..., DStream], end: str) -> None:
    dstream = make(end=end)
    done = dstream("run", "t", "--no-restart", "--json", "-l", "debug")
    assert done.returncode in (1, 6), done.stderr
    assert "Error: " in done.stderr
    assert_clean(dstream, done)


def test_the_traceback_of_a_legacy_provider_leaks_no_secrets(make: Callable[..., DStream]) -> None:
    dstream = make("legacy_input", end="crash")
    done = dstream("run", "t", "--no-restart")
    assert done.returncode == 1
    assert "RuntimeError" in done.stderr
    assert_clean(dstream, done)


@pytest.mark.parametrize(
    ("command", "end"),
    [
        (("plan", "t"), "well"),
        (("plan", "t", "--json"), "fails"),
        (("init", "t", "--yes"), "well"),
        (("init", "t", "--yes", "--log-format", "json"), "well"),
        (("status", "t", "--json"), "well"),
        (("status", "t"), "fails"),
        (("destroy", "t", "--yes", "--json"), "well"),
    ],
)
def test_lifecycle_commands_leak_no_secrets(make: Callable[..., DStream], command: tuple[str, ...], end: str) -> None:
    dstream = make(end=end)
    done = dstream(*command)
    assert done.returncode == (6 if end == "fails" else 0), done.stderr
    assert_clean(dstream, done)


@pytest.mark.parametrize("command", [("validate", "--json"), ("list",)])
def test_commands_that_only_read_the_file_leak_no_secrets(
    make: Callable[..., DStream], command: tuple[str, ...]
) -> None:
    dstream = make()
    done = dstream(*command)
    assert done.returncode == 0, done.stderr
    assert_clean(dstream, done)


def test_arguments_socket_and_metrics_of_a_host_leak_no_secrets(make: Callable[..., DStream]) -> None:
    dstream = make(end="hold")
    with dstream.running("run", "t", "--log-format", "json", "--metrics", "127.0.0.1:0") as run:
        wait_until(lambda: list(dstream.cwd.glob(".dstream/state/dev/t.json")), "a checkpoint")
        run.says("run.started")
        for process in (psutil.Process(run.process.pid), *run.children()):
            assert seen(" ".join(process.cmdline())) == []
        assert len(run.children()) == 2
        assert seen(json.dumps(ask_host(socket_path(dstream.cwd / ".dstream" / "run", "dev", "t"), "status"))) == []
        found = re.search(r"http://[\d.:]+", run.stderr)
        assert found
        metrics = wait_until(lambda: metrics_with_labels(found[0]), "the provider's metrics")
        assert seen(metrics) == []
        run.process.send_signal(signal.SIGTERM)
        assert run.ended() == 0, run.stderr
    assert_files_clean(dstream)
    for command in (("state", "show", "t", "--json"), ("state", "export", "t")):
        assert_clean(dstream, dstream(*command))


def metrics_with_labels(base: str) -> str:
    with urlopen(f"{base}/metrics", timeout=60) as answer:
        text: str = answer.read().decode()
    return text if "dstream_provider_opened_total" in text else ""


MISTAKES = {
    "an unterminated string": ('password          = "Zq7Literal4Kx"', 'password          = "Zq7Literal4Kx'),
    "an unknown function": ('password          = "Zq7Literal4Kx"', 'password          = upppper("Zq7Literal4Kx")'),
    "a call that fails": ('password          = "Zq7Literal4Kx"', 'password          = jsondecode("Zq7Literal4Kx")'),
    "an operator that fails": ('password          = "Zq7Literal4Kx"', 'password          = "Zq7Literal4Kx" + 1'),
    "a marked secret as a number": ('secret("file:secret.txt")', 'secret("file:secret.txt") * 2'),
    "a marked secret as JSON": ('secret("file:secret.txt")', 'jsondecode(secret("file:secret.txt"))'),
    "a marked secret as a key": ('secret("file:secret.txt")', '{ a = 1 }[secret("file:secret.txt")]'),
    "a marked secret as a condition": ('secret("file:secret.txt")', 'secret("file:secret.txt") ? 1 : 2'),
    "a marked secret as a file": ('secret("file:secret.txt")', 'file(secret("file:secret.txt"))'),
    "a mistake next to nested secrets": ('tokens = ["Zq7List4Kx"]', 'tokens = ["Zq7List4Kx"], a = upppper("x")'),
    "a secret variable with the wrong type": ("type = string", "type = number"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_errors_in_the_file_leak_no_secrets(make: Callable[..., DStream], what: str) -> None:
    dstream = make()
    right, wrong = MISTAKES[what]
    file = dstream.cwd / "dstream.hcl"
    hcl = file.read_text()
    assert right in hcl
    file.write_text(hcl.replace(right, wrong, 1))
    done = dstream("run", "t")
    assert done.returncode == 3, done.stderr
    assert "dstream.hcl:" in done.stderr
    assert_clean(dstream, done)


@pytest.mark.parametrize(
    ("variable", "part"),
    [("MSSQL_CONNECTION_STRING", "PWD"), ("ASB_CONNECTION_STRING", "SharedAccessKey")],
)
def test_credentials_that_a_server_rejects_do_not_leak(
    sandbox: Sandbox, tmp_path: Path, variable: str, part: str
) -> None:
    shutil.copy(Path(__file__).parents[2] / "examples" / "orders" / "dstream.hcl", tmp_path / "dstream.hcl")
    env = sandbox.env
    env[variable], count = re.subn(f"{part}=[^;]*", f"{part}=Zq7Refused4Kx", env[variable])
    assert count == 1
    dstream = DStream(tmp_path, env)
    done = dstream("run", "orders", "--once", "--json", "-l", "debug")
    assert done.returncode in (3, 6), done.stderr
    assert_clean(dstream, done)
