"""Loads files into a project: folders, settings, tasks, variables, references and lazy evaluation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dstream.config import InfrastructureSettings, Restart, StateSettings, load, load_variables
from dstream.errors import ConfigErrors

Load = Callable[..., Any]

ORDERS = """
dstream {
  required_version = ">= 0.1, < 99"
  state {
    backend = "file"
    path    = "state/here"
  }
  infrastructure {
    backend_url      = "file://.dstream/infra"
    stack            = var.env
    work_dir         = "work"
    secrets_provider = "passphrase"
  }
}
variable "env" {
  type        = string
  default     = "test"
  description = "The environment"
}
locals {
  tables = ["dbo.Orders", "dbo.Customers"]
}

task "orders" {
  type          = "providers"
  max_line      = "2MiB"
  start_timeout = "1m30s"
  restart {
    max_attempts  = 3
    initial_delay = "250ms"
    max_delay     = "5s"
  }
  input {
    provider = "mssql_cdc"
    config {
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      tables               = local.tables
    }
  }
  output {
    provider_path = "./bin/${var.env}"
    config {
      queue = "orders-${var.env}"
    }
  }
}
"""


def two_tasks(first: str, second: str) -> str:
    return "\n".join(
        f"""
        task "{name}" {{
          input {{
            provider = "p"
            config {{
              {config}
            }}
          }}
          output {{
            provider = "q"
          }}
        }}
        """
        for name, config in (("first", first), ("second", second))
    )


def codes_of(load_it: Callable[[], Any]) -> list[str]:
    with pytest.raises(ConfigErrors) as raised:
        load_it()
    return [error.code for error in raised.value.errors]


def test_a_whole_file_is_read(load_text: Load, tmp_path: Path) -> None:
    project = load_text(ORDERS, environ={"MSSQL_CONNECTION_STRING": "Server=x"})

    assert project.path == tmp_path / "dstream.hcl"
    assert project.folder == tmp_path
    assert project.state.folder == tmp_path / "state/here"
    assert project.stack == "test"
    assert project.settings.state == StateSettings("file", "state/here")
    assert project.settings.infrastructure == InfrastructureSettings(
        "test", "file://.dstream/infra", "work", "passphrase"
    )
    task = project.tasks["orders"]
    assert (task.max_line, task.start_timeout_s) == (2 * 1024 * 1024, 90)
    assert task.restart == Restart(max_attempts=3, initial_delay_s=0.25, max_delay_s=5)
    assert task.input.config == {"db_connection_string": "Server=x", "tables": ["dbo.Orders", "dbo.Customers"]}
    assert (task.output.provider, task.output.provider_path, task.output.provider_ref) == (None, "./bin/test", None)
    assert (task.input.label, task.output.label) == ("mssql_cdc", "./bin/test")
    assert task.output.config == {"queue": "orders-test"}


def test_missing_settings_have_their_defaults(load_text: Load, tmp_path: Path) -> None:
    project = load_text(two_tasks("", ""))

    assert (project.stack, project.state.folder) == ("dev", tmp_path / ".dstream/state")
    task = project.tasks["first"]
    assert (task.max_line, task.start_timeout_s, task.restart) == (16 * 1024 * 1024, 60, Restart(10, 1, 60))


def test_a_size_can_be_a_number_of_bytes(load_text: Load) -> None:
    text = two_tasks("", "").replace('task "first" {', 'task "first" {\n max_line = 4096')

    assert load_text(text).tasks["first"].max_line == 4096


def test_a_folders_files_load_as_one_project(tmp_path: Path) -> None:
    (tmp_path / "a.hcl").write_text(two_tasks("x = local.shared", ""))
    (tmp_path / "b.hcl").write_text('locals {\n  shared = "both"\n}\n')
    (tmp_path / "c.txt").write_text("not HCL")

    project = load(tmp_path, environ={})

    assert project.folder == tmp_path
    assert project.tasks["first"].input.config == {"x": "both"}


def test_an_error_names_its_file_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.hcl").write_text(two_tasks("x = local.shared", ""))
    (tmp_path / "b.hcl").write_text("locals {\n  shared = nothing\n}\n")

    with pytest.raises(ConfigErrors) as raised:
        load(tmp_path, environ={})

    assert [str(error.place) for error in raised.value.errors] == [f"{tmp_path}/b.hcl:2:12"]


def test_syntax_errors_of_several_files_are_reported_together(tmp_path: Path) -> None:
    for name in ("a.hcl", "b.hcl"):
        (tmp_path / name).write_text("locals {\n")

    assert codes_of(lambda: load(tmp_path, environ={})) == ["config.syntax", "config.syntax"]


def test_a_missing_or_binary_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bytes.hcl").write_bytes(b"a = \xff")
    (tmp_path / "empty").mkdir()

    for path in ("no.hcl", "bytes.hcl", "empty"):
        assert codes_of(lambda path=path: load(tmp_path / path, environ={})) == ["config.file"]  # type: ignore[misc]


def test_byte_order_marks_and_windows_line_breaks_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "dstream.hcl"
    text = two_tasks("x = <<EOT\na\nEOT\n", "y = 1 # so\n").replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())

    assert load(path, environ={}).tasks["first"].input.config == {"x": "a\n"}


def test_paths_in_functions_are_relative_to_the_file(
    load_text: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "note.txt").write_text("here")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert load_text(two_tasks('x = file("note.txt")', "")).tasks["first"].input.config == {"x": "here"}


VARIABLES = [
    ("string", "5", "5"),
    ("number", "5", 5),
    ("bool", "true", True),
    ("any", "[1]", "[1]"),
    ("list(string)", '["a", "b"]', ["a", "b"]),
    ("list(number)", '["1", 2]', [1, 2]),
    ("set(string)", '["a", "a"]', ["a"]),
    ("map(number)", "{ a = 1 }", {"a": 1}),
    ("list", "[1, true]", [1, True]),
    ("object({ a = string, b = list(bool) })", '{ a = 1, b = ["true"] }', {"a": "1", "b": [True]}),
    ("tuple([string, number])", '["a", "1"]', ["a", 1]),
]


@pytest.mark.parametrize(("kind", "given", "value"), VARIABLES, ids=[kind for kind, _, _ in VARIABLES])
def test_a_variable_given_as_text_gets_its_type(load_text: Load, kind: str, given: str, value: Any) -> None:
    text = f'variable "x" {{\n  type = {kind}\n}}\n' + two_tasks("x = var.x", "")

    for project in (load_text(text, variables={"x": given}), load_text(text, environ={"DSTREAM_VAR_x": given})):
        assert project.tasks["first"].input.config == {"x": value}


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("number", "five"),
        ("bool", "yes"),
        ("list(string)", "a"),
        ("list(number)", '["a"]'),
        ("map(string)", "[]"),
        ("object({ a = string })", "{}"),
        ("tuple([string])", "[]"),
        ("list(string)", '[env("HOME")]'),
    ],
)
def test_a_variable_of_the_wrong_type_is_an_error(load_text: Load, kind: str, given: str) -> None:
    text = f'variable "x" {{\n  type = {kind}\n}}\n'

    assert codes_of(lambda: load_text(text, variables={"x": given})) == ["config.type"]


def test_a_flag_overrides_the_environment_which_overrides_the_default(load_text: Load) -> None:
    text = 'variable "x" {\n  default = "default"\n}\n' + two_tasks("x = var.x", "")
    environ = {"DSTREAM_VAR_x": "environment"}

    for more, value in (
        ({"variables": {"x": "given"}, "environ": environ}, "given"),
        ({"environ": environ}, "environment"),
        ({}, "default"),
    ):
        assert load_text(text, **more).tasks["first"].input.config == {"x": value}


def test_a_value_for_an_undeclared_variable_is_an_error(load_text: Load) -> None:
    with pytest.raises(ConfigErrors) as raised:
        load_text('variable "region" {\n  default = 1\n}\n', variables={"regoin": "x"})

    assert raised.value.errors[0].hint == 'Did you mean "region"?'


def test_a_default_can_use_functions_and_other_variables(load_text: Load) -> None:
    text = 'variable "a" {\n  default = env("A", "x")\n}\nvariable "b" {\n  default = "${var.a}-b"\n}\n'

    assert load_text(text + two_tasks("x = var.b", "")).tasks["first"].input.config == {"x": "x-b"}


def test_locals_can_be_in_any_order_and_have_two_names(load_text: Load) -> None:
    text = 'locals {\n  a = "${b}-${local.c}"\n}\nlocals {\n  b = 1\n  c = 2\n}\n'

    assert load_text(text + two_tasks("x = a", "")).tasks["first"].input.config == {"x": "1-2"}


def test_the_variable_of_a_for_shadows_a_local(load_text: Load) -> None:
    text = "locals {\n  a = 1\n}\n" + two_tasks("x = [for a in [2] : a]", "y = a")

    tasks = load_text(text).tasks
    assert (tasks["first"].input.config, tasks["second"].input.config) == ({"x": [2]}, {"y": 1})


def test_tasks_can_refer_to_other_tasks_and_to_themselves(load_text: Load) -> None:
    tasks = load_text(
        two_tasks(
            "a = 1\n x = task.first.input.config.a\n y = task.second.input.config",
            'n = task.first.name\n p = task.first.output.provider\n z = task.first.input.config["a"]',
        )
    ).tasks

    second = {"n": "first", "p": "q", "z": 1}
    assert tasks["first"].input.config == {"a": 1, "x": 1, "y": second}
    assert tasks["second"].input.config == second


def test_a_whole_namespace_is_an_object(load_text: Load) -> None:
    text = 'variable "v" {\n  default = 1\n}\nlocals {\n  a = 2\n}\n'
    project = load_text(text + two_tasks("x = [var, local]", "y = task.first"))

    assert project.tasks["first"].input.config == {"x": [{"v": 1}, {"a": 2}]}
    assert project.tasks["second"].input.config["y"] == {
        "name": "first",
        "input": {"provider": "p", "config": {"x": [{"v": 1}, {"a": 2}]}},
        "output": {"provider": "q", "config": {}},
    }


def test_only_requested_tasks_need_their_environment(load_text: Load) -> None:
    text = 'variable "v" {\n}\nlocals {\n  unused = env("NO_SUCH")\n}\n' + two_tasks(
        "x = 1", 'y = env("NO_SUCH")\n z = "{{ env "NO_SUCH" }}"\n w = var.v'
    )
    project = load_text(text, only=["first"])

    assert list(project.tasks) == ["first", "second"]
    assert project.tasks["first"].input.config == {"x": 1}
    assert project.tasks["second"].input.config == {}
    assert codes_of(lambda: load_text(text, only=["second"])) == [
        "config.missing",
        "config.env_unset",
        "config.env_unset",
    ]
    assert len(codes_of(lambda: load_text(text))) == 4


def test_only_requested_blocks_need_their_environment(load_text: Load) -> None:
    text = """
    locals { source = env("NO_SUCH") }
    task "t" {
      input {
        provider = "p"
        config {
          x = local.source
          y = "{{ env "NO_SUCH" }}"
        }
      }
      output {
        provider = "q"
        config { z = 1 }
      }
    }
    """
    for only in (["t"], None):
        task = load_text(text, only=only, roles=["output"]).tasks["t"]
        assert (task.input.provider, task.input.config, task.output.config) == ("p", {}, {"z": 1})
    assert codes_of(lambda: load_text(text, only=["t"])) == ["config.env_unset", "config.env_unset"]


def test_a_broken_local_is_reported_once(load_text: Load) -> None:
    text = "locals {\n  a = nothing\n}\n" + two_tasks("x = a\n y = local.a", "z = a")

    assert codes_of(lambda: load_text(text)) == ["config.undefined"]


def test_try_falls_back_from_a_broken_local(load_text: Load) -> None:
    text = 'locals {\n  a = env("NO_SUCH")\n}\n' + two_tasks(
        'x = try(a, task.second.input.config, "else")', "y = nothing"
    )

    assert load_text(text, only=["first"]).tasks["first"].input.config == {"x": "else"}


@pytest.mark.parametrize(
    ("constraint", "fits"),
    [
        (">= 0.1", True),
        ("0.1.0", True),
        ("= 0.1", True),
        ("v0.1", True),
        ("~> 0.1", True),
        ("~> 0.1.0", True),
        ("~> 0.0.9", False),
        ("~> 0.0", True),
        ("!= 0.1.0", False),
        ("> 0.1", False),
        ("> 0.0.9, < 0.2", True),
        ("<= 0.1", True),
        ("< 0.1", False),
        (">= 0.1, < 0.1", False),
        (">=", None),
        ("", None),
    ],
)
def test_a_version_is_checked_against_its_constraint(constraint: str, fits: bool | None) -> None:
    from dstream.config.blocks.version import satisfies

    assert satisfies("0.1.0", constraint) is fits


def test_a_variable_file_sets_values_of_any_type(load_text: Load, tmp_path: Path) -> None:
    path = tmp_path / "test.tfvars"
    path.write_text('env = "t-${env("A")}"\ntables = ["a", "${b}"]\nn = 5\n'.replace("${b}", "$${b}"))
    text = 'variable "env" {\n}\nvariable "tables" {\n}\nvariable "n" {\n  type = string\n}\n'

    given = load_variables(path, environ={"A": "x"})
    project = load_text(text + two_tasks("x = var", ""), variables=given)

    assert project.tasks["first"].input.config == {"x": {"env": "t-x", "tables": ["a", "${b}"], "n": "5"}}


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("a = nothing\nb = upper()\n", ["config.undefined", "config.call"]),
        ("a {\n}\n", ["config.unknown_block"]),
        ("a = 1\na = 2\n", ["config.duplicate"]),
        ("a =\n", ["config.syntax"]),
        ('a = secret("azurekeyvault://retail/key")\n', ["config.call"]),
        (None, ["config.file"]),
    ],
)
def test_mistakes_in_a_variable_file_are_errors(tmp_path: Path, text: str | None, codes: list[str]) -> None:
    path = tmp_path / "test.tfvars"
    if text is not None:
        path.write_text(text)

    assert codes_of(lambda: load_variables(path, environ={})) == codes
