"""`dstream validate` with real providers: checks each config against its provider's schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.running import DStream

WRONG = """
task "count" {
  input {
    provider = "counter"
    config {
      intervall = "5s"
      count     = 0
    }
  }
  output {
    provider = "servicebus"
    config {
      queue = [5]
      batch {
        max_messages = 9000
      }
    }
  }
}
task "orders" {
  input {
    provider = "mssql_cdc"
    config {
      tables  = ["dbo.Orders", {}]
      columns = {
        "dbo.Orders" = { inclde = ["Id"] }
      }
    }
  }
  output {
    provider = "console"
    config {
      format = "jsn"
    }
  }
}
"""

SHELL_INPUT = """#!/usr/bin/env bash
echo '{"dstream":"hello","protocol":1,"role":"input","name":"letters","version":"1","capabilities":["checkpoint"]}'
read -r line_1
"""

OPEN = """
task "letters" {
  input {
    provider_path = "letters"
    config { anything = 1 }
  }
  output {
    provider_path = "silent"
  }
}
"""


@pytest.fixture
def plain(tmp_path: Path) -> Callable[[str], DStream]:
    def make(hcl: str) -> DStream:
        (tmp_path / "dstream.hcl").write_text(hcl)
        return DStream(tmp_path)

    return make


def test_all_invalid_settings_are_reported_with_their_lines(plain: Callable[[str], DStream]) -> None:
    done = plain(WRONG.replace('"jsn"', '"jsn"'))("validate")
    assert done.returncode == 3
    assert dict(line.split(None, 1) for line in done.stderr.splitlines()[:-1]) == {
        "dstream.hcl:6:7": 'unknown setting "intervall". Did you mean "interval"?',
        "dstream.hcl:7:19": '"count" must be at least 1.',
        "dstream.hcl:13:15": '"queue" must be text, not a list.',
        "dstream.hcl:15:24": '"batch.max_messages" must be at most 4,500.',
        "dstream.hcl:21:3": 'the setting "db_connection_string" is missing. '
        "ODBC, ADO.NET or JDBC connection string, or sqlserver:// URL",
        "dstream.hcl:24:32": '"tables[1]" must be text, not an object.',
        "dstream.hcl:26:26": 'unknown setting "inclde". Did you mean "include"?',
        "dstream.hcl:33:16": '"format" must be "count" or "json". Did you mean "json"?',
    }
    assert done.stderr.endswith("8 errors in 1 file.\n")


def test_providers_without_a_schema_are_reported_as_unchecked(plain: Callable[[str], DStream], tmp_path: Path) -> None:
    for name, text in (("letters", SHELL_INPUT), ("silent", '#!/usr/bin/env bash\necho \'{"status":"ready"}\'\ncat\n')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    command = plain(OPEN)
    document = json.loads(command("validate", "--json").stdout)
    assert document == {
        "schema_version": 1,
        "valid": True,
        "tasks": ["letters"],
        "deployments": [],
        "transforms": {},
        "unchecked": [
            {"task": "letters", "role": "input", "provider": "letters", "reason": "it does not describe its settings"},
            {
                "task": "letters",
                "role": "output",
                "provider": "silent",
                "reason": "a legacy provider cannot describe its settings",
            },
        ],
    }
    assert "output: the config of silent is not checked: a legacy provider" in command("validate").stdout


def test_both_providers_of_a_task_start_concurrently(plain: Callable[[str], DStream], tmp_path: Path) -> None:
    """The input sends hello only after the output has started; otherwise it would count as a legacy provider."""
    wait = "until [ -e started ]; do sleep 0.01; done\n"
    for name, text in (
        ("letters", SHELL_INPUT.replace("echo", f"{wait}echo", 1)),
        ("silent", '#!/usr/bin/env bash\ntouch started\necho \'{"status":"ready"}\'\ncat\n'),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    document = json.loads(plain(OPEN)("validate", "--json").stdout)

    assert document["unchecked"][0]["reason"] == "it does not describe its settings"


CONVERTED = """
variable "n" {
  default = null
}
task "count" {
  input {
    provider = "counter"
    config {
      count     = var.n
      interval  = {{ env "INTERVAL" | default `"1ms"` }}
    }
  }
  output {
    provider = "console"
    config {
      format = "count"
    }
  }
}
"""


def test_text_is_converted_for_a_whole_number_when_validating_and_running(plain: Callable[[str], DStream]) -> None:
    command = plain(CONVERTED)

    assert command("validate", "--var", "n=3").returncode == 0
    done = command("run", "count", "--max-rows", "2", "--var", "n=3")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [("validate",), ("run", "count", "--max-rows", "2")], ids=["validate", "run"])
def test_a_value_that_cannot_be_converted_is_reported_in_the_same_words(
    plain: Callable[[str], DStream], arguments: tuple[str, ...]
) -> None:
    done = plain(CONVERTED)(*arguments, "--var", "n=many")

    assert done.returncode == 3
    assert '"count" must be a whole number, not text' in done.stderr
    assert "dstream.hcl:9:23" in done.stderr


def test_an_unset_variable_does_not_hide_other_mistakes(plain: Callable[[str], DStream]) -> None:
    hcl = CONVERTED.replace(' | default `"1ms"`', "").replace('format = "count"', 'format = "cont"')
    done = plain(f'locals {{\n  unused = env("NO_SUCH_LOCAL")\n}}\n{hcl}')("validate", "--var", "n=many")

    assert done.returncode == 3
    for words in ("NO_SUCH_LOCAL is not set", "INTERVAL is not set", '"count" must be', '"format" must be "count" or'):
        assert words in done.stderr


TWICE = """
task "{task}" {{
  input {{ provider = "counter" }}
  output {{
    provider = "servicebus"
    config {{
      resource_group = "rg"
      namespace      = "{namespace}"
      {destination}
    }}
  }}
}}
"""


def test_what_two_tasks_declare_and_names_that_differ_in_case_only_are_refused(plain: Callable[[str], DStream]) -> None:
    subscriptions = 'topic = "events"\n      subscriptions = [{ name = "audit" }, { name = "Audit" }]'
    a = TWICE.format(task="a", namespace="sb-retail", destination='queue = "orders"')
    b = TWICE.format(task="b", namespace="SB-Retail", destination='queue = "Orders"')
    c = TWICE.format(task="c", namespace="sb-other", destination=subscriptions)
    project = plain(a + b + c)

    done = project("validate")
    assert done.returncode == 3
    assert 'task "b" declares queue Orders in SB-Retail, and so does task "a"' in done.stderr
    assert 'two subscriptions are named "Audit"' in done.stderr
    assert "dstream.hcl:21:7" in done.stderr

    planned = project("plan", "b")  # both tasks, although only one is planned
    assert planned.returncode == 3
    assert "task.declared_twice" in planned.stderr
    assert "Audit" not in planned.stderr


def test_a_deployment_is_checked_like_a_task(tmp_path: Path) -> None:
    dstream = DStream(tmp_path)
    hcl = """
task "orders" {
  input { provider = "counter" }
  output { provider = "console" }
}
deployment "aca" {
  provider = "container_apps"
  config {
    resource_group = "rg-retail"
    location       = "westeurope"
    environment    = "cae-retail"
    image          = "a:1"
    replica        = 2
  }
}
"""
    (tmp_path / "dstream.hcl").write_text(hcl)
    done = dstream("validate")
    assert done.returncode == 3
    assert "replica" in done.stderr
    assert "dstream.hcl:13:5" in done.stderr
    (tmp_path / "dstream.hcl").write_text(hcl.replace("replica ", "cpu").replace("= 2", "= 0.3"))
    assert "container_apps.bad_cpu" in dstream("validate").stderr
    (tmp_path / "dstream.hcl").write_text(hcl.replace("replica ", "replicas"))
    assert dstream("validate").stdout == "dstream.hcl: 1 task and 1 deployment, no errors.\n"
