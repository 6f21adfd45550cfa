"""What `dstream deploy` treats like tasks, and how it names its commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from dstream.cli.lifecycle.commands import destroy, init, plan, status
from dstream.cli.lifecycle.deploy import deploy
from dstream.cli.lifecycle.deployment import Deployment, load_deployment
from dstream.cli.lifecycle.request import Request
from dstream.cli.options import Options
from dstream.config import load
from dstream.errors import ConfigError, ConfigErrors, RefusedError

HCL = """
task "orders" {
  input { provider = "counter" }
  output {
    provider = "servicebus"
    config {
      connection_string = env("ASB_CONNECTION_STRING_OF_ORDERS")
      queue             = "orders"
    }
  }
}
task "returns" {
  input { provider = "counter" }
  output { provider = "console" }
}
deployment "aca" {
  provider = "container_apps"
  config {
    image = "a:1"
  }
}
"""


class Project:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "dstream.hcl"
        self.write(HCL)

    def write(self, text: str) -> None:
        self.file.write_text(text)

    def load(self, *names: str, destroys: bool = False, by_record: bool = False, **options: Any) -> Deployment:
        given = Options(config=self.file, deployment=options.pop("deployment", ""), **options)
        return load_deployment(given, names or None, by_record=by_record or destroys, is_destroyed=destroys)

    def record(self, name: str) -> None:
        """Leave what the engine leaves of a stack."""
        folder = self.file.parent / ".dstream" / "infra" / name.replace("/", "%2F") / "dev"
        folder.mkdir(parents=True)
        (folder / "Pulumi.dev.yaml").touch()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def names(found: Deployment) -> list[str]:
    return [task.name for task in found.subjects]


def test_what_all_tasks_use_is_changed_with_the_named_tasks_but_not_destroyed_with_them(project: Project) -> None:
    assert names(project.load("returns")) == ["aca", "returns"]
    assert names(project.load("aca", "returns")) == ["aca", "returns"]
    assert names(project.load("aca")) == ["aca"]
    assert names(project.load()) == ["aca", "orders", "returns"]
    assert names(project.load("returns", destroys=True)) == ["returns"]
    assert names(project.load(destroys=True)) == ["aca", "orders", "returns"]


def test_what_all_tasks_use_is_created_first_and_deleted_last(project: Project) -> None:
    found = project.load("orders")
    assert [[task.name for task in wave] for wave in found.waves("init", found.subjects)] == [["aca"], ["orders"]]
    assert [[task.name for task in wave] for wave in found.waves("destroy", found.subjects)] == [["orders"], ["aca"]]


def test_a_task_gets_the_deployment_as_its_output_with_the_facts_about_it(project: Project) -> None:
    hcl = HCL + 'variable "size" {}\n'
    project.write(hcl)
    (shared, orders) = project.load("orders", variables=("size=2",)).subjects
    assert "files" not in shared.output.config["deployed"]
    assert "task" not in shared.output.config["deployed"]
    assert orders.output.provider == "container_apps"
    assert orders.output.config["image"] == "a:1"
    facts = orders.output.config["deployed"]
    assert (facts["task"], facts["output"], facts["config"]) == ("orders", "servicebus", "dstream.hcl")
    assert facts["files"] == {"dstream.hcl": hcl}
    assert facts["arguments"] == ["--var", "size=2"]


def test_files_of_variables_have_names_that_no_other_file_has(project: Project, tmp_path: Path) -> None:
    project.write(HCL + 'variable "size" {}\n')
    given = [tmp_path / "dstream.hcl.d" / "dstream.hcl", tmp_path / "size.tfvars"]
    given[0].parent.mkdir()
    for path in given:
        path.write_text("size = 1\n")
    facts = project.load("orders", variable_files=tuple(given)).subjects[1].output.config["deployed"]
    assert facts["arguments"] == ["--var-file", "/dstream/dstream.hcl.1", "--var-file", "/dstream/size.tfvars.2"]
    assert sorted(facts["files"]) == ["dstream.hcl", "dstream.hcl.1", "size.tfvars.2"]


def test_the_files_that_a_task_reads_are_deployed_with_it(project: Project, tmp_path: Path) -> None:
    text = HCL.replace('queue             = "orders"', 'queue = templatefile("queue.txt", { name = local.name })')
    text = text.replace('image = "a:1"', 'image = file("image/tag.txt")')
    project.write(
        text + 'locals {\n  name = fileexists("name.txt") && !fileexists("no.txt") ? file("name.txt") : ""\n}\n'
    )
    (tmp_path / "image").mkdir()
    for name, content in (("queue.txt", "${name}-1"), ("name.txt", "orders"), ("image/tag.txt", "a:1")):
        (tmp_path / name).write_text(content)
    _, orders, returns = project.load().subjects
    assert orders.output.config["deployed"]["output_config"]["queue"] == "orders-1"
    (mounted := tmp_path / "mounted").mkdir()
    for name, content in orders.output.config["deployed"]["files"].items():
        (mounted / name).write_text(content)
    run = load(mounted / "dstream.hcl", environ={"ASB_CONNECTION_STRING_OF_ORDERS": "a"}, only=["orders"])
    assert run.tasks["orders"].output.config["queue"] == "orders-1"
    assert list(returns.output.config["deployed"]["files"]) == ["dstream.hcl"]


@pytest.mark.parametrize(
    ("expression", "function"),
    [
        ('file("sub/a.txt")', "file"),
        ('secret("file:a.txt")', "secret"),
        ('tostring(fileexists("sub/a.txt"))', "fileexists"),
    ],
)
def test_a_file_that_the_container_would_not_have_is_refused(
    expression: str, function: str, project: Project, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.txt", "sub/a.txt"):
        (tmp_path / name).write_text("orders")
    project.write(HCL.replace('"orders"\n    }', f"{expression}\n    }}"))
    with pytest.raises(ConfigErrors) as refused:
        project.load("orders")
    (error,) = refused.value.errors
    assert error.code == "deploy.file"
    assert f"a.txt with {function}()" in error.message
    assert len(project.load("returns").subjects) == 2, "another task does not read it"


def test_a_secret_in_a_file_that_a_task_reads_is_refused(project: Project, tmp_path: Path) -> None:
    (tmp_path / "queue.yaml").write_text('queue: orders\npassword: "hunter2"\n')
    project.write(HCL.replace('"orders"\n    }', 'yamldecode(file("queue.yaml")).queue\n    }'))
    with pytest.raises(ConfigErrors) as refused:
        project.load("orders")
    (error,) = refused.value.errors
    assert error.code == "deploy.literal_secret"
    assert error.place is not None
    assert (Path(error.place.file).name, error.place.line) == ("queue.yaml", 2)


def test_a_secret_that_only_the_container_has_need_not_be_set_here(project: Project) -> None:
    facts = project.load("orders").subjects[1].output.config["deployed"]
    assert facts["output_config"] == {"connection_string": "***", "queue": "orders"}


@pytest.mark.parametrize(
    "line",
    [
        'db_connection_string = "Server=db;Password=hunter2"',
        'client_secret = "hunter2"',
        "# AccountKey=hunter2",
    ],
)
def test_a_literal_secret_in_a_file_is_refused_at_its_line(line: str, project: Project) -> None:
    project.write(HCL.replace('image = "a:1"', line))
    with pytest.raises(ConfigErrors) as refused:
        project.load("orders")
    (error,) = refused.value.errors
    assert (error.code, error.place.line if error.place else 0) == ("deploy.literal_secret", 19)
    assert names(project.load("orders", destroys=True)) == ["orders"], "it must not block a clean-up"


def test_a_secret_variable_is_refused(project: Project) -> None:
    project.write(HCL + 'variable "api_token" {}\n')
    with pytest.raises(ConfigErrors) as refused:
        project.load("orders", variables=("api_token=hunter2",))
    (error,) = refused.value.errors
    assert error.code == "deploy.literal_secret"
    assert "hunter2" not in error.message
    assert names(project.load("orders", destroys=True, variables=("api_token=hunter2",))) == ["orders"]


def test_the_value_of_a_sensitive_variable_is_refused_and_not_shown(project: Project) -> None:
    text = HCL.replace('queue             = "orders"', "queue             = var.pin")
    project.write(text + 'variable "pin" {\n  sensitive = true\n  default = "4711-0815-42"\n}\n')
    with pytest.raises(ConfigErrors) as refused:
        project.load("orders")
    (error,) = refused.value.errors
    assert error.place is not None
    assert "4711" not in error.place.source_line


def test_a_secret_of_another_task_is_refused_because_the_file_contains_it(project: Project) -> None:
    console = 'output { provider = "console" }'
    text = HCL.replace(console, 'output {\n    provider = "console"\n    config { pin = var.pin }\n  }')
    project.write(text + 'variable "pin" {\n  sensitive = true\n  default = "4711-0815-42"\n}\n')
    with pytest.raises(ConfigErrors) as refused:
        project.load("orders")
    assert [each.code for each in refused.value.errors] == ["deploy.literal_secret"]
    project.write(text)
    assert names(project.load("orders")) == ["aca", "orders"], "another error of the other task does not matter"


def test_an_address_of_checkpoints_in_the_environment_is_passed_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSTREAM_STATE_URL", "https://st.blob.core.windows.net/c")
    project.write(HCL + 'dstream {\n  state {\n    backend = "azblob"\n  }\n}\n')
    facts = project.load("orders").subjects[1].output.config["deployed"]
    assert facts["env"] == {"DSTREAM_STATE_URL": "https://st.blob.core.windows.net/c"}
    assert facts["state_url"] == "https://st.blob.core.windows.net/c"


def test_the_deployment_is_chosen_by_its_name(project: Project) -> None:
    for name, code in (("acs", "deploy.unknown"), ("", "")):
        if code:
            with pytest.raises(ConfigError) as refused:
                project.load("orders", deployment=name)
            assert refused.value.code == code
        else:
            assert project.load("orders", deployment=name).name == "aca"
    project.write(HCL + HCL[HCL.index("deployment") :].replace('"aca"', '"acb"'))
    with pytest.raises(ConfigError) as refused:
        project.load("orders")
    assert refused.value.code == "deploy.several"
    assert project.load("orders", deployment="acb").name == "acb"
    project.write(HCL[: HCL.index("deployment")])
    with pytest.raises(ConfigError) as refused:
        project.load("orders")
    assert refused.value.code == "deploy.none"


def test_what_all_tasks_use_is_kept_while_a_task_uses_it(project: Project) -> None:
    project.record("aca//")
    project.record("aca//orders")
    with pytest.raises(RefusedError) as refused:
        project.load("aca", destroys=True)
    assert refused.value.code == "deploy.in_use"
    assert names(project.load("aca", "orders", destroys=True)) == ["aca", "orders"]


def test_a_deployed_task_that_left_the_file_can_still_be_destroyed(project: Project) -> None:
    project.record("aca//old")
    assert names(project.load("old", destroys=True)) == ["old"]
    assert names(project.load(destroys=True)) == ["aca", "orders", "returns", "old"]
    assert "old" in names(project.load(by_record=True))
    with pytest.raises(ConfigError, match='unknown task "old"'):
        project.load("old")


def test_two_tasks_with_the_same_app_are_refused(project: Project) -> None:
    settings = 'resource_group = "rg"\n    location = "westeurope"\n    environment = "cae"\n    image = "a:1"'
    hcl = HCL.replace('image = "a:1"', settings)
    for second, is_refused in (("order-lines", True), ("returns", False)):
        project.write(hcl.replace('task "orders"', 'task "OrderLines"').replace('task "returns"', f'task "{second}"'))
        request = Request(Options(config=project.file, deployment="aca"), None)
        if not is_refused:
            request.refuse_declared_twice(Options())
            continue
        with pytest.raises(ConfigErrors) as refused:
            request.refuse_declared_twice(Options())
        (error,) = refused.value.errors
        assert error.code == "task.declared_twice"
        assert "container app order-lines in rg" in error.message


@pytest.mark.parametrize("command", [plan, init, status, destroy], ids=lambda command: command.name)
def test_each_command_has_the_options_of_the_lifecycle_command(command: click.Command) -> None:
    deploying = deploy.commands[command.name or ""]
    own = {each.name for each in command.params} - {"target", "target_dependents", "orphan"}
    assert {each.name for each in deploying.params} == own | {"deployment"}


def test_suggested_commands_are_those_of_deploy() -> None:
    options = Options(deployment="aca", chdir=Path("shop"))
    error = ConfigError("a.b", "`dstream init` failed", hint="Run `dstream plan orders` again.")
    options.repeat_in(error)
    assert error.message == "`dstream deploy init` failed"
    assert error.hint == "Run `dstream deploy plan orders --target aca --chdir shop` again."
    options.repeat_in(other := ConfigError("a.b", "x", hint="Run `dstream state rm orders`."))
    assert other.hint == "Run `dstream state rm orders --chdir shop`."
    assert Options().commands_in("dstream init orders") == "dstream init orders"
