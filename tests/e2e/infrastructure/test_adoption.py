"""Existing resources are imported on request and never re-created."""

from __future__ import annotations

import pytest

from tests.e2e.infrastructure.cases import Case, Make, creations, max_delivery_count


# Importing in mode `entities` is also tested by integration/servicebus_entities/test_entities.py.
@pytest.mark.parametrize("mode", ["arm", pytest.param("entities", marks=pytest.mark.soak)])
def test_an_existing_queue_is_imported_unchanged(mode: str, provisioned: Make) -> None:
    case = Case(mode, "queue", f"adopt-{mode}")
    project = provisioned(case.hcl())
    project.dstream.env = project.sandbox.env  # its record is encrypted with a passphrase, as by default
    with project.administration() as administration:
        administration.create_queue(case.name, max_delivery_count=10, requires_duplicate_detection=True)
        before = administration.get_queue(case.name)

        refused = project.dstream("init", "orders", "--yes")
        assert refused.returncode != 0
        assert "create, already exists; import with --import" in refused.stdout
        assert "exist" in refused.stderr
        assert "--import" in refused.stderr

        assert project.summary("init", "orders", "--yes", "--import") == {"import": 1}
        assert administration.get_queue(case.name).items() == before.items()
    assert project.summary("init", "orders", "--yes") == {"same": 1}
    assert creations(project.sandbox, case) == {}


@pytest.mark.soak  # integration/stacks/test_with_sandbox.py imports the same
def test_existing_resources_are_imported_and_missing_ones_created(provisioned: Make) -> None:
    case = Case("arm", "topic", "adopt-some")
    project = provisioned(case.hcl())
    with project.administration() as administration:
        administration.create_topic(case.name, requires_duplicate_detection=True)

    summary = project.summary("init", "orders", "--yes", "--import")

    assert summary["import"] == 1
    assert summary["create"] >= 3
    with project.administration() as administration:
        assert max_delivery_count(administration, case) == 10
