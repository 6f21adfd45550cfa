"""A provider's `config`: its shapes, the places of its parts, and its secrets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dstream.config import ProviderBlock
from dstream.errors import ConfigErrors

LoadInput = Callable[..., ProviderBlock]


@pytest.fixture
def load_input(load_text: Callable[..., Any]) -> LoadInput:
    """Load a task whose input block contains the text, which starts on line 4, and return the input block."""

    def load_it(text: str, before: str = "", **more: Any) -> ProviderBlock:
        hcl = f'task "t" {{\n  input {{\n    provider = "p"\n{text}\n  }}\n  output {{\n    provider = "q"\n  }}\n}}\n'
        block = load_text(hcl + before, **more).tasks["t"].input
        assert isinstance(block, ProviderBlock)
        return block

    return load_it


BLOCK = """\
    config {
      url = "x"
      tables = ["a",
        "b"]
      labels = { env = "dev", "a.b" = [1] }
      lock {
        type = "none"
        retry { times = 3 }
      }
      rule { n = 1 }
      rule { n = 2 }
      topic "orders" {
        size = 5
      }
      topic "audit" { }
      sub "a" "b" { n = 1 }
      sub "a" "c" { n = 2 }
      computed = concat(["c"], ["d"])
    }"""


def test_blocks_in_a_config_are_objects_lists_and_maps(load_input: LoadInput) -> None:
    assert load_input(BLOCK).config == {
        "url": "x",
        "tables": ["a", "b"],
        "labels": {"env": "dev", "a.b": [1]},
        "lock": {"type": "none", "retry": {"times": 3}},
        "rule": [{"n": 1}, {"n": 2}],
        "topic": {"orders": {"size": 5}, "audit": {}},
        "sub": {"a": {"b": {"n": 1}, "c": {"n": 2}}},
        "computed": ["c", "d"],
    }


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ("url", 5, 7),
        ("tables", 6, 7),
        ("tables[0]", 6, 17),
        ("tables[1]", 7, 9),
        ("tables[1].x.y", 7, 9),
        ("tables[7]", 6, 7),
        ("labels.env", 8, 18),
        ('labels["a.b"]', 8, 31),
        ('labels["a.b"][0]', 8, 40),
        ("lock", 9, 7),
        ("lock.type", 10, 9),
        ("lock.missing", 9, 7),
        ("lock.retry.times", 11, 17),
        ("rule[1].n", 14, 14),
        ("topic.orders", 15, 7),
        ("topic.orders.size", 16, 9),
        ("sub.a.c.n", 20, 21),
        ("computed[1]", 21, 7),
        ("nothing", 2, 3),
        ("", 2, 3),
    ],
)
def test_a_path_resolves_to_its_place_or_its_closest_parent(
    load_input: LoadInput, path: str, line: int, column: int
) -> None:
    place = load_input(BLOCK).place_of(path)

    assert (place.line, place.column, place.block) == (line, column, 'task "t", input')


def test_the_place_of_a_value_follows_the_place_of_its_name(load_input: LoadInput) -> None:
    block = load_input(BLOCK)

    assert (block.value_place_of("url").line, block.value_place_of("url").column) == (5, 13)
    assert block.value_place_of("lock.type").column == 16
    assert block.value_place_of("tables[1]") == block.place_of("tables[1]")


def test_a_config_map_has_places(load_input: LoadInput) -> None:
    block = load_input('    config = {\n      a = [1]\n      "b" = { c = 2 }\n    }')

    assert block.config == {"a": [1], "b": {"c": 2}}
    places = {path: (place.line, place.column) for path, place in block.config_places.items()}
    assert places == {"a": (5, 7), "a[0]": (5, 12), "b": (6, 7), "b.c": (6, 15)}


def test_a_whole_config_can_be_computed(load_input: LoadInput) -> None:
    block = load_input("    config = merge(local.shared, { b = 2 })", "locals {\n  shared = { a = 1 }\n}\n")

    assert block.config == {"a": 1, "b": 2}
    assert block.place_of("a") == block.place


def test_a_null_setting_is_omitted(load_input: LoadInput) -> None:
    text = "a = null\n b = 1 == 1 ? null : 2\n c = [null]\n d { e = null }\n f = { g = null }"

    expected = {"c": [None], "d": {}, "f": {"g": None}}
    assert load_input(f"    config {{\n {text}\n }}").config == expected
    assert load_input("    config = { a = null, c = [null] }").config == {"c": [None]}


def test_the_place_of_a_template_refers_to_the_original_file(load_input: LoadInput) -> None:
    text = '    config {\n a = "{{ env "A" }}"\n b = ["{{ env "A" }}", 1]\n }'
    block = load_input(text, environ={"A": "x" * 50})

    assert (block.place_of("b[1]").line, block.place_of("b[1]").column) == (6, 24)


SECRETS = [
    ('secret("env:S")', {"hunter2"}),
    ('"Password=${secret("env:S")};x"', {"hunter2"}),
    ('upper(secret("env:S"))', {"hunter2", "HUNTER2"}),
    ('base64encode("u:${secret("env:S")}")', {"hunter2", "dTpodW50ZXIy"}),
    ('jsonencode({ p = secret("env:S") })', {"hunter2", '{"p":"hunter2"}'}),
    ('[for x in [secret("env:S")] : "${x}!"]', {"hunter2"}),
    ('{ a = { b = secret("env:S") } }', {"hunter2"}),
    ('1 == 1 ? secret("env:S") : "x"', {"hunter2"}),
    ('try(nothing, secret("env:S"))', {"hunter2"}),
    ("local.s", {"hunter2"}),
    ("var.v", {"given"}),
    ("var.list", {"a1", "b2"}),
    ('secret("file:s.txt")', {"from file"}),
    ('env("S")', set()),
    ('length(secret("env:S"))', {"hunter2"}),
    ('tonumber("${length(secret("env:S"))}1") + 1', {"hunter2", "71", "72"}),
    ('secret("env:EMPTY")', set()),
]


@pytest.mark.parametrize(("expression", "secrets"), SECRETS, ids=[text for text, _ in SECRETS])
def test_a_value_derived_from_a_secret_is_secret(
    load_input: LoadInput, tmp_path: Path, expression: str, secrets: set[str]
) -> None:
    (tmp_path / "s.txt").write_text("from file\n")
    before = (
        'locals {\n  s = secret("env:S")\n}\nvariable "v" {\n  sensitive = true\n}\n'
        'variable "list" {\n  sensitive = true\n  default = ["a1", "b2"]\n}\n'
    )
    environ = {"S": "hunter2", "EMPTY": ""}
    block = load_input(f"    config {{\n a = {expression}\n }}", before, environ=environ, variables={"v": "given"})

    assert block.secrets == secrets
    assert "hunter2" not in repr(block)
    assert all(type(text) is str for text in [*block.secrets, *texts_in(block.config)])


def texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value if isinstance(value, list) else [*value, *value.values()] if isinstance(value, dict) else []
    return [text for item in inner for text in texts_in(item)]


def test_only_values_of_a_secret_object_are_secret(load_input: LoadInput) -> None:
    block = load_input('    config { a = jsondecode(secret("env:S")) }', environ={"S": '{"user": "joe"}'})

    assert block.secrets == {"joe", '{"user": "joe"}'}


def test_a_secret_never_shows_in_an_error(load_input: LoadInput) -> None:
    expressions = [
        'secret("env:S").a',
        'secret("env:S") + 1',
        'secret(secret("env:S"))',
        'file(secret("env:S"))',
        'lookup({}, secret("env:S"))',
        '{ a = 1 }[secret("env:S")]',
        '{ (secret("env:S")) = 1, (secret("env:S")) = 2 }',
        'jsondecode(secret("env:S"))',
        'task[secret("env:S")]',
        'env(secret("env:S"))',
        '{ for x in ["a", "b"] : secret("env:S") => x }',
        'local[secret("env:S")]',
        'task.t.input.config[secret("env:S")]',
        'format("%d", secret("env:S"))',
    ]
    for expression in expressions:
        with pytest.raises(ConfigErrors) as raised:
            load_input(f"    config {{\n a = {expression}\n }}", environ={"S": "hunter2"})
        for error in raised.value.errors:
            assert "hunter2" not in f"{error.message} {error.hint} {error.details} {error.place}", expression
