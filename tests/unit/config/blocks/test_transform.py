"""`transform` blocks: typed, in file order, and every error at its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dstream.config import TransformBlock
from dstream.errors import ConfigErrors
from dstream.protocol.transforms import (
    AllOf,
    AnyOf,
    Comparison,
    FilterRows,
    FixedValue,
    FlattenColumns,
    MaskColumns,
    Negation,
    OneOf,
    RenameColumns,
    RouteRows,
    RowField,
    SetColumns,
)

Load = Callable[..., Any]
TASK = """\
locals {{
  limit = 100
}}
task "orders" {{
  input {{
    provider = "counter"
  }}
{blocks}
  output {{
    provider = "console"
  }}
}}
"""


def blocks_of(load_text: Load, blocks: str, **more: Any) -> tuple[TransformBlock, ...]:
    project = load_text(TASK.format(blocks=blocks), **more)
    found: tuple[TransformBlock, ...] = project.tasks["orders"].transforms
    return found


def errors_of(load_text: Load, blocks: str, **more: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(ConfigErrors) as caught:
        blocks_of(load_text, blocks, **more)
    return [
        (error.code, error.message, f"{error.place.line}:{error.place.column}")
        for error in caught.value.errors
        if error.place
    ]


def test_blocks_become_typed_transforms_in_file_order(load_text: Load) -> None:
    blocks = blocks_of(
        load_text,
        """
  transform "rename" {
    tables  = ["dbo.Orders"]
    columns = { CustId = "CustomerId" }
  }
  transform "set" { columns = { Region = "eu", Version = 2, Empty = null } }
  transform "flatten" {}
  transform "route" {
    field = "Destination"
    value = "orders-${data.Region}-${local.limit}"
  }
        """,
    )
    assert [each.transform for each in blocks] == [
        RenameColumns(tables=["dbo.Orders"], columns={"CustId": "CustomerId"}),
        SetColumns(columns={"Region": "eu", "Version": 2, "Empty": None}),
        FlattenColumns(),
        RouteRows(
            field="Destination",
            value=[FixedValue("orders-"), RowField("data", ["Region"]), FixedValue("-"), FixedValue("100")],
        ),
    ]
    assert [each.kind for each in blocks] == ["rename", "set", "flatten", "route"]


@pytest.mark.parametrize(
    ("where", "condition"),
    [
        ("data.Total > 100", Comparison(">", RowField("data", ["Total"]), FixedValue(100))),
        ("local.limit * 2 >= data.Total", Comparison(">=", FixedValue(200), RowField("data", ["Total"]))),
        ('data["Order Total"] == null', Comparison("==", RowField("data", ["Order Total"]), FixedValue(None))),
        (
            "data.Place.City != before.Place.City",
            Comparison("!=", *(RowField(root, ["Place", "City"]) for root in ("data", "before"))),
        ),  # type: ignore[arg-type]
        ("!metadata.Last", Negation(RowField("metadata", ["Last"]))),
        ('contains(["a", "b"], data.Kind)', OneOf(RowField("data", ["Kind"]), ["a", "b"])),
        (
            "data.A && data.B || true",
            AnyOf([AllOf([RowField("data", ["A"]), RowField("data", ["B"])]), FixedValue(True)]),
        ),
        ("(\n      data.A\n      && local.limit > 5\n    )", AllOf([RowField("data", ["A"]), FixedValue(True)])),
    ],
)
def test_a_condition_may_mix_columns_with_any_other_expression(load_text: Load, where: str, condition: Any) -> None:
    (block,) = blocks_of(load_text, f'transform "filter" {{\n    where = {where}\n  }}')
    assert block.transform == FilterRows(where=condition)


@pytest.mark.parametrize(
    ("block", "code", "message", "place"),
    [
        ('transform "filtr" { where = true }', "config.label", 'unknown transform "filtr"', "8:11"),
        ("transform {}", "config.missing", "the transform has no provider", "8:1"),
        (
            'transform "drop" { columns = ["a"] }\ntransform { provider = "x" }',
            "config.unsupported",
            "rows pass through the transform provider before all other transforms",
            "9:1",
        ),
        (
            'transform { provider = "x" }\ntransform { provider = "y" }',
            "config.duplicate",
            "a task can have one transform provider",
            "9:1",
        ),
        ('transform "filter" {}', "config.missing", 'the transform has no "where"', "8:1"),
        ('transform "flatten" { column = ["a"] }', "config.unknown_attribute", 'unknown attribute "column"', "8:23"),
        ('transform "filter" { where = "x" }', "config.type", "a condition is true or false, not a string", "8:30"),
        ('transform "filter" { where = data }', "config.type", "data is a whole object", "8:30"),
        ('transform "filter" { where = no.x > 1 }', "config.undefined", 'unknown local "no"', "8:30"),
        (
            'transform "filter" { where = data.x > null }',
            "config.type",
            '">" compares numbers or strings, not null',
            "8:37",
        ),
        (
            'transform "filter" { where = data.x == [1] }',
            "config.type",
            "a value of a row cannot be compared with a list",
            "8:40",
        ),
        (
            'transform "filter" { where = data.x + 1 > 5 }',
            "config.unsupported",
            "a column cannot be used in this expression",
            "8:37",
        ),
        (
            'transform "filter" { where = upper(data.x) == "A" }',
            "config.unsupported",
            "a column cannot be used in this expression",
            "8:30",
        ),
        (
            'transform "filter" { where = contains(data.x, "a") }',
            "config.call",
            "contains() needs a list and a column",
            "8:30",
        ),
        (
            'transform "drop" { columns = [] }',
            "config.type",
            'columns must be a list of names, such as ["Email"], not an empty list',
            "8:30",
        ),
        ('transform "set" { columns = { big = 1e30 } }', "config.type", "", "8:29"),
        (
            'transform "rename" { columns = { a = "c", b = "c" } }',
            "config.type",
            "two columns have the same new name",
            "8:32",
        ),
        (
            'transform "mask" {\n  columns = ["a"]\n  with = "hide"\n}',
            "config.type",
            'with must be "hash" or "redact", not "hide"',
            "10:10",
        ),
        (
            'transform "mask" {\n  columns = ["a"]\n  with = "hash"\n}',
            "config.missing",
            'the transform has no "hash_key"',
            "8:1",
        ),
        (
            'transform "mask" {\n  columns = ["a"]\n  with = "redact"\n  hash_key = "k"\n}',
            "config.type",
            'hash_key needs with = "hash"',
            "11:14",
        ),
    ],
)
def test_an_error_is_reported_at_its_place(load_text: Load, block: str, code: str, message: str, place: str) -> None:
    found = errors_of(load_text, block)
    assert [(each[0], each[2]) for each in found] == [(code, place)]
    assert message in found[0][1]


MASK = """
  transform "mask" {
    columns  = ["Email"]
    with     = "hash"
    hash_key = env("HASH_KEY")
  }
"""


def test_a_hash_key_is_a_secret_even_from_a_plain_environment_variable(load_text: Load) -> None:
    (block,) = blocks_of(load_text, MASK, environ={"HASH_KEY": "canary"})
    assert block.transform == MaskColumns(columns=["Email"], with_="hash", hash_key="canary")
    assert block.secrets == {"canary"}
    assert "canary" not in repr(block)


def test_values_are_needed_only_by_commands_that_read_rows(load_text: Load) -> None:
    for only, roles in (((), ["input", "output"]), (None, ["output"])):
        (block,) = blocks_of(load_text, MASK, only=only, roles=roles)
        assert (block.kind, block.transform) == ("mask", None)
    assert errors_of(load_text, MASK)[0][0] == "config.env_unset"


def test_an_unset_variable_is_kept_for_later_with_defer_unset(load_text: Load) -> None:
    (block,) = blocks_of(load_text, MASK, defer_unset=True)
    assert block.transform is None
    assert [error.code for error in block.unset] == ["config.env_unset"]


def test_a_hash_key_in_a_vault_that_is_not_read_is_no_error(load_text: Load) -> None:
    vault = MASK.replace('env("HASH_KEY")', 'secret("azurekeyvault://my-vault/my-name")')
    (block,) = blocks_of(load_text, vault, ask_vaults=False)
    assert block.transform is None


def test_a_secret_in_any_attribute_is_known_to_be_one(load_text: Load) -> None:
    (block,) = blocks_of(
        load_text,
        'transform "filter" { where = data.Token != sensitive_token }'.replace(
            "sensitive_token", 'secret("env:TOKEN")'
        ),
        environ={"TOKEN": "canary"},
    )
    assert block.secrets == {"canary"}


def test_a_block_without_a_label_is_a_provider_with_its_config(load_text: Load) -> None:
    blocks = """
  transform {
    provider = "enrich"
    config {
      url = env("URL")
    }
  }
  transform "drop" { columns = [task.orders.transform.provider] }
    """
    task = load_text(TASK.format(blocks=blocks), environ={"URL": "http://x"}).tasks["orders"]
    assert (task.transform.role, task.transform.label, task.transform.config) == (
        "transform",
        "enrich",
        {"url": "http://x"},
    )
    assert [block.role for block in task.providers] == ["input", "transform", "output"]
    assert [each.transform.columns for each in task.transforms] == [["enrich"]]
    only_output = load_text(TASK.format(blocks=blocks), roles=["output"]).tasks["orders"]
    assert (only_output.transform.label, only_output.transform.config) == ("enrich", {})


def test_what_env_reads_in_names_is_shown_and_elsewhere_hidden(load_text: Load) -> None:
    text = (
        'transform "drop" {\n tables = [env("TABLE")]\n columns = ["{{ env "COLUMN" }}"]\n}\n'
        'transform "set" { columns = { Region = env("REGION") } }\n'
        'transform "route" {\n field = "Queue"\n value = "orders-{{ env "STAGE" }}-${data.Region}"\n}'
    )
    environ = {"TABLE": "dbo.Orders", "COLUMN": "Email", "REGION": "eu", "STAGE": "production"}
    drop, set_, route = blocks_of(load_text, text, environ=environ)
    assert (drop.read, set_.read, route.read) == (frozenset(), {"eu"}, {"production"})
    assert route.transform.value[0] == FixedValue("orders-production-")
