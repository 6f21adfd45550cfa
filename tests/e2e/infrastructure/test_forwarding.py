"""Forwarding to an entity that is replaced."""

from __future__ import annotations

import pytest

from tests.e2e.infrastructure.cases import Make, task

PLACES = {
    "arm": """\
      resource_group = env("ASB_RESOURCE_GROUP")
      namespace      = env("ASB_NAMESPACE")
""",
    "entities": """\
      mode                    = "entities"
      connection_string       = env("ASB_CONNECTION_STRING")
      admin_connection_string = env("ASB_ADMIN_CONNECTION_STRING")
""",
}
QUEUES = """\
      queue    = "{mode}-{{table}}"
      tables   = ["source", "target"]
      entities = {{
        "{mode}-source" = {{ forward_to = "{mode}-target", user_metadata = "kept" }}
        "{mode}-target" = {{ duplicate_detection = {detects} }}
      }}
"""


@pytest.mark.parametrize("mode", ["arm", pytest.param("entities", marks=pytest.mark.soak)])
def test_the_source_is_updated_as_planned_when_its_target_is_replaced(mode: str, provisioned: Make) -> None:
    project = provisioned(task(PLACES[mode] + QUEUES.format(mode=mode, detects="true")))
    project.succeed("init", "orders", "--yes")
    with project.administration() as administration:
        before = administration.get_queue_runtime_properties(f"{mode}-source").updated_at_utc
    project.write(task(PLACES[mode] + QUEUES.format(mode=mode, detects="false")))

    assert project.summary("init", "orders", "--yes") == {"update": 1, "replace": 1}

    with project.administration() as administration:
        after = administration.get_queue_runtime_properties(f"{mode}-source").updated_at_utc
        assert administration.get_queue(f"{mode}-source").user_metadata == "kept"
    assert before is not None
    assert after is not None
    assert after > before
