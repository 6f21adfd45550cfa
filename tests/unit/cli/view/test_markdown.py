"""Plans and results as a pull request comment."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dstream.cli.view.answer import Answer
from dstream.cli.view.markdown import MAX_LENGTH, markdown_of
from dstream.cli.view.markdown_text import code, fenced, prose
from dstream.errors import DStreamError, SourceLocation, SystemFault
from dstream.host import LifecycleOutcome
from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import Diagnostic, Difference, Operation, Step

QUEUE = "azure-native:servicebus:Queue"


def resource(
    name: str, op: Operation, *diff: Difference, phase: Step = "planned", note: str = "", holds: int = 0, held: str = ""
) -> ListedResource:
    return ListedResource(name, QUEUE, op, phase, list(diff), note, holds, held=held)


def answer(
    *resources: ListedResource, task: str = "orders", error: DStreamError | None = None, message: str = ""
) -> Answer:
    outcome = LifecycleOutcome("servicebus", resources=resources, message=message)
    return Answer(task, "servicebus", 3.42, outcome, error)


ONE_OF_EACH = [
    resource(
        "new",
        "create",
        Difference("lockDuration", None, "PT30S"),
        Difference("maxSizeInMegabytes", None, 1024, "max size", new_text="1 GB"),
    ),
    resource("old", "update", Difference("maxDeliveryCount", 10, 5)),
    resource("audit", "replace", Difference("requiresSession", False, True, "session"), holds=1284, held="messages"),
    resource("gone", "delete"),
    resource("taken", "import"),
    resource("calm", "same"),
]


def test_a_plan_starts_with_its_marker_counts_and_warnings() -> None:
    text = markdown_of("plan", "dev", [answer(*ONE_OF_EACH, message="Capacity: Standard supports 1,000 operations/s.")])
    assert text == (
        "<!-- dstream:plan:dev -->\n"
        "### DStream plan · stack `dev` · 1 to create, 1 to update, 1 to replace, 1 to delete, 1 to import, 1 unchanged\n"
        "\n"
        "> [!WARNING]\n"
        "> **Data would be lost**: 1 resource with 1,284 messages in total. Refused without `--allow-data-loss`.\n"
        ">\n"
        "> - `audit` (orders, replace): holds 1,284 messages that would be lost\n"
        "\n"
        "> [!WARNING]\n"
        "> **To be replaced or deleted**: 1 resource\n"
        ">\n"
        "> - `gone` (orders, delete)\n"
        "\n"
        "#### orders · servicebus · 1 to create, 1 to update, 1 to replace, 1 to delete, 1 to import, 1 unchanged\n"
        "\n"
        "| | resource | kind | |\n"
        "|---|---|---|---|\n"
        "| 🔁 | `audit` | queue | replace, holds 1,284 messages that would be lost |\n"
        "| 🗑️ | `gone` | queue | delete |\n"
        "| ✏️ | `old` | queue | update |\n"
        "| ➕ | `new` | queue | create |\n"
        "| 📥 | `taken` | queue | import |\n"
        "\n"
        "<details><summary>Properties</summary>\n"
        "\n"
        "```diff\n"
        "! queue audit (replace)\n"
        "-     session: off\n"
        "+     session: on\n"
        "! queue old\n"
        "-     max delivery count: 10\n"
        "+     max delivery count: 5\n"
        "+ queue new\n"
        "+     lock duration: 30s\n"
        "+     max size: 1 GB\n"
        "```\n"
        "\n"
        "</details>\n"
        "\n"
        "Capacity&#58; Standard supports 1,000 operations/s.\n"
    )


def test_a_creation_that_would_fail_is_marked() -> None:
    exists = resource("taken", "create", note="already exists; import with --import")
    text = markdown_of("plan", "dev", [answer(exists)])
    assert "| ➕ | `taken` | queue | create, already exists; import with --import |" in text


def test_a_plan_without_changes_is_short() -> None:
    text = markdown_of("plan", "prod", [answer(resource("calm", "same"))])
    assert text == (
        "<!-- dstream:plan:prod -->\n"
        "### DStream plan · stack `prod` · no changes\n"
        "\n"
        "#### orders · servicebus · no changes, 1 unchanged\n"
    )


def test_the_comment_of_a_deployment_does_not_replace_that_of_the_infrastructure() -> None:
    text = markdown_of("plan", "prod", [answer(resource("calm", "same"))], deploys=True)
    assert text.startswith("<!-- dstream:deploy-plan:prod -->\n### DStream deploy plan · stack `prod`")


def test_a_failure_comes_first() -> None:
    error = SystemFault(
        "infra.failed", "QuotaExceeded: 10,000 | queues", place=SourceLocation("dstream.hcl", 14, 5), hint="Ask."
    )
    done = resource("new", "create", phase="done")
    failed = resource("old", "create", phase="failed", note="QuotaExceeded")
    lines = markdown_of("init", "dev", [answer(done, failed, error=error)]).splitlines()
    assert lines[1] == "### DStream init · stack `dev` · 1 of 1 task failed, 1 created"
    assert lines[3:7] == [
        "> [!CAUTION]",
        "> **orders** failed: QuotaExceeded&#58; 10,000 &#124; queues (`infra.failed`)",
        ">",
        "> `dstream.hcl:14:5` · Ask.",
    ]
    assert "| ➕ | `new` | queue | created |" in lines
    assert "| ❌ | `old` | queue | **failed**: QuotaExceeded |" in lines


def test_a_task_that_cannot_be_planned_does_not_hide_another() -> None:
    broken = Answer("b", "servicebus", error=SystemFault("infra.failed", "no"))
    text = markdown_of("plan", "dev", [answer(ONE_OF_EACH[0], task="a"), broken])
    assert "### DStream plan · stack `dev` · 1 of 2 tasks failed, 1 to create" in text
    assert "#### a · servicebus · 1 to create" in text
    assert "#### b · servicebus · failed" in text


def test_drift_shows_recorded_and_actual_values() -> None:
    drifted = resource("old", "update", Difference("maxDeliveryCount", 10, 77), phase="done")
    text = markdown_of("status", "dev", [answer(drifted, resource("calm", "same", phase="done"))])
    assert "· drift in 1 of 2\n" in text
    assert "-     max delivery count: 10 recorded\n+     max delivery count: 77 actual\n" in text
    assert "WARNING" not in text


def test_a_change_of_white_space_alone_is_visible() -> None:
    text = markdown_of("plan", "dev", [answer(resource("eu", "update", Difference("filter", "x =  1\n", "x = 1")))])
    assert '-     filter: "x =  1\\n"\n+     filter: "x = 1"\n' in text


def test_a_destroy_plan_is_labeled_as_one() -> None:
    text = markdown_of("plan", "dev", [answer(resource("gone", "delete"))], destroys=True)
    assert "### DStream destroy plan · stack `dev` · 1 to delete" in text


def test_provider_warnings_are_shown() -> None:
    outcome = LifecycleOutcome("servicebus", diagnostics=(Diagnostic("the tier is <small>", name="orders"),))
    text = markdown_of("plan", "dev", [Answer("orders", "servicebus", outcome=outcome)])
    assert "- warning: `orders`: the tier is &#60;small&#62;" in text


def many(count: int, op: Operation, *, holds: int = 0, name: str = "queue") -> Sequence[ListedResource]:
    diff = [Difference(path, None, "x" * 40) for path in ("lockDuration", "maxDeliveryCount", "forwardTo")]
    return [resource(f"{name}-{number:03}", op, *diff, holds=holds) for number in range(count)]


@pytest.mark.parametrize("tasks", [1, 3])
@pytest.mark.parametrize("name", ["queue", "a|`<b>" * 40])
@pytest.mark.parametrize("op", ["create", "delete", "replace"])
def test_500_queues_fit_into_a_comment_and_omissions_are_counted(name: str, op: Operation, tasks: int) -> None:
    holds = 7 if op == "replace" else 0
    answers = [answer(*many(500, op, holds=holds, name=name), task=f"t{number}") for number in range(tasks)]
    text = markdown_of("plan", "dev", answers)
    assert len(text) < 65_000
    assert len(text) < MAX_LENGTH + 1000
    assert f"· {500 * tasks:,} to {op}" in text
    assert all(f"#### t{number} · servicebus · 500 to {op}" in text for number in range(tasks))
    assert " more" in text
    if holds:
        assert f"**Data would be lost**: {500 * tasks:,} resources with {3500 * tasks:,} in total." in text
    assert text.count("<details>") == text.count("</details>")
    assert text.count("```diff") * 2 == text.count("```")


def test_resources_are_omitted_as_whole_rows() -> None:
    text = markdown_of("plan", "dev", [answer(*many(2000, "create"))])
    rows = [line for line in text.splitlines() if line.startswith("| ➕")]
    left_out = next(line for line in text.splitlines() if line.startswith("| | and "))
    assert len(rows) + int(left_out.split()[3].replace(",", "")) == 2000
    assert all(line.endswith("| create |") for line in rows)


@pytest.mark.parametrize(
    "value", ["a|b", "`x`", "a\\|b", "<script>alert(1)</script>", "@all", "#1", "line\nbreak", "$x$", "-->", "```"]
)
def test_no_value_breaks_the_markdown(value: str) -> None:
    changed = resource(value, "update", Difference(value, value, f"{value}2"), note=value)
    lines = markdown_of("plan", value, [answer(changed, task=value, message=value)]).splitlines()
    assert lines[0].endswith(" -->")
    assert lines[0].count("-->") == 1
    row = next(line for line in lines if line.startswith("| ✏️"))
    assert row.count("|") - row.count("\\|") == 5
    assert "<script" not in "\n".join(line for line in lines if not line.startswith(("+ ", "- ", "! ")))
    assert row.endswith(" |")
    assert lines.count("</details>") == 1


def test_code_and_prose_escape_any_text() -> None:
    assert code("orders_dev") == "`orders_dev`"
    assert code("a|b`c") == "<code>a&#124;b&#96;c</code>"
    assert code("") == "<code></code>"
    assert prose("*a* _b_ [c](d) @e") == "&#42;a&#42; &#95;b&#95; &#91;c&#93;(d) &#64;&#8203;e"
    assert prose("x" * 1000) == "x" * 300 + "…"
    assert fenced(["a ``` b"], "diff") == "````diff\na ``` b\n````"


@pytest.mark.parametrize(
    "text", ["@name", "#1", "www.example.com", "a@example.com", "xmpp:a@example.com", "WWW.example.com"]
)
def test_prose_neither_mentions_nor_links(text: str) -> None:
    """As rendered by cmark-gfm 0.29: an entity alone still links mail addresses, and a bare `www.` needs no markup."""
    assert "&#8203;" in prose(text)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("- x", "&#45; x"), ("1. x", "1&#46; x"), ("2) x", "2&#41; x"), ("= x", "&#61; x"), ("1.5", "1&#46;5")],
)
def test_prose_starts_no_list_or_heading(text: str, escaped: str) -> None:
    assert prose(text) == escaped


def test_control_characters_are_shown_as_escapes() -> None:
    assert prose("a\x1b[2J\n\u202eb") == "a&#92;u001b&#91;2J &#92;u202eb"
    assert code("a\u200bb") == "<code>a&#92;u200bb</code>"
