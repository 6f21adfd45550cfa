"""The `deployment` block."""

from __future__ import annotations

import pytest

from dstream.errors import ConfigErrors, RefusedError
from tests.unit.config.conftest import Load

TASK = """
task "orders" {
  input { provider = "counter" }
  output { provider = "console" }
}
"""
ACA = """
deployment "aca" {
  provider = "container_apps"
  config {
    image = env("IMAGE")
  }
}
"""


def test_its_config_is_evaluated_only_on_request(load_text: Load) -> None:
    block = load_text(TASK + ACA).deployments["aca"]
    assert (block.provider, dict(block.config)) == ("container_apps", {})
    for deployments in (["aca"], None):
        project = load_text(TASK + ACA, environ={"IMAGE": "a:1"}, deployments=deployments)
        assert project.deployments["aca"].config == {"image": "a:1"}


def test_an_unset_variable_is_an_error_at_its_place(load_text: Load) -> None:
    with pytest.raises(ConfigErrors) as failed:
        load_text(TASK + ACA, deployments=None)
    (error,) = failed.value.errors
    assert error.code == "config.env_unset"
    assert error.place is not None
    assert (error.place.line, error.place.block) == (10, 'deployment "aca"')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ACA.replace('"aca"', '"orders"'), 'a task and a deployment are both called "orders"'),
        (ACA + ACA, 'deployment "aca" is defined twice'),
        (ACA.replace('"aca"', ""), 'use the form deployment "NAME" { ... }'),
        (ACA.replace('"aca"', '"a/b"'), "invalid deployment name"),
        (ACA.replace("provider =", "platform ="), 'unknown attribute "platform"'),
        ('deployment "aca" {}', "the deployment has no provider"),
    ],
)
def test_an_invalid_block_is_reported(text: str, message: str, load_text: Load) -> None:
    with pytest.raises(ConfigErrors) as failed:
        load_text(TASK + text)
    assert message in [error.message.partition(" (first")[0] for error in failed.value.errors]


@pytest.mark.parametrize("setting", ['provider_path = "./evil"', 'provider = "p"\n env = { A = "b" }'])
def test_an_untrusted_file_may_not_choose_a_program(setting: str, load_text: Load) -> None:
    with pytest.raises(RefusedError) as refused:
        load_text(f'{TASK}\ndeployment "aca" {{\n {setting}\n}}', is_untrusted=True, deployments=None)
    assert refused.value.code == "untrusted.refused"
