"""The program hook: a Python file that changes the declared resources and adds others, in the same plan."""

from __future__ import annotations

import os
import py_compile
from pathlib import Path

from tests.integration.infra.driving import Stage

HOOK = """\
import pulumi
import sizes


def transform(resource):
    if resource.name == "q1":
        resource.inputs["tags"] = {"team": "platform"}
        resource.options.protect = True


def resources(declared):
    q1 = next(each.resource for each in declared if each.name == "q1")
    pulumi.CustomResource("cloud:index:Queue", "audit", {"name": "audit", "size": sizes.AUDIT}, pulumi.ResourceOptions(depends_on=q1))
"""


def test_a_hook_changes_and_adds_resources_in_the_same_plan(stage: Stage, tmp_path: Path) -> None:
    stage.program = tmp_path / "infra.py"
    stage.program.write_text(HOOK)
    sizes = tmp_path / "sizes.py"
    sizes.write_text("AUDIT = 3")
    plan = stage("plan")
    assert plan.ops == {"audit": "create", "q1": "create", "q2": "create"}
    assert ("tags.team", None, "platform") in plan.diff("q1")

    # A change makes the plan stale, also of a module that the file imports. Python would take its bytecode for current,
    # because the size and the time of the file are the same.
    py_compile.compile(str(sizes), doraise=True)
    written = sizes.stat().st_mtime_ns
    sizes.write_text("AUDIT = 4")
    os.utime(sizes, ns=(written, written))
    stale = stage("init", expect=plan.document, exact=True).error
    assert stale["code"] == "plan.stale"
    assert "the configuration has changed" in stale["message"]

    plan = stage("plan")
    assert stage("init", expect=plan.document, exact=True).ops == {"audit": "create", "q1": "create", "q2": "create"}
    assert (stage.real["audit"]["size"], stage.real["q1"]["tags"]) == (4, {"team": "platform"})
    assert stage("init").result["message"] == "nothing to do"
    assert stage("status").ops == {"audit": "same", "q1": "same", "q2": "same"}

    # Without the hook, its resources are deleted and its changes undone, as the plan shows.
    stage.program = None
    assert stage("plan").ops == {"audit": "delete", "q1": "update", "q2": "same"}


def test_an_error_in_a_hook_names_the_file_and_the_line(stage: Stage, tmp_path: Path) -> None:
    stage.program = tmp_path / "infra.py"
    missing = stage("plan").error
    assert (missing["code"], missing["kind"]) == ("infra.hook_unreadable", "config")
    for source, line in [
        ("x = 1\ndef transform(:\n", 2),
        ("import nothing_of_this_name\n\ndef transform(resource): ...\n", 1),
        ("def transform(resource):\n    resource.inputs['a']['b'] = 1\n", 2),
        ("def resources(declared):\n    pass\n    raise ValueError('no')\n", 3),
    ]:
        stage.program.write_text(source)
        error = stage("plan").error
        assert (error["code"], error["kind"]) == ("infra.hook", "config")
        assert error["message"].startswith(f"{stage.program}:{line}: "), error["message"]
    stage.program.write_text("x = 1\n")
    assert "neither transform(resource) nor resources(declared)" in stage("plan").error["message"]
    assert stage.world.calls == []
