"""What is computed from a sensitive value is sensitive, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dstream.config.model import ProviderBlock
from dstream.protocol.config_schema import ConfigPath

SENSITIVE = [
    'env("S")',
    'file("s.txt")',
    'secret("env:S")',
    "var.v",
    "[var.v][0]",
    "local.s",
    'length(env("S"))',
    'length(split(",", env("S")))',
    'split(",", env("S"))',
    'join(",", [env("S"), "x"])',
    'substr(env("S"), 0, 1)',
    'upper(env("S"))',
    'base64encode(env("S"))',
    'jsondecode("[1, true]${env("EMPTY")}")',
    'jsondecode("{\\"a\\":${env("N")}}").a',
    'tonumber(env("N")) + 1',
    '-env("N")',
    'env("N") > 5',
    'env("S") == "x"',
    '!(env("S") == "x")',
    'env("S") == "x" ? "a" : "b"',
    'true ? env("S") : "b"',
    'env("S") == "x" && true',
    'false || env("S") == "x"',
    '"a${env("S")}"',
    '"%{ if env("S") == "x" }a%{ else }b%{ endif }"',
    '"%{ for x in split(",", env("S")) }a%{ endfor }"',
    '[for x in split(",", env("S")) : "a"]',
    '[for x in ["a", "b"] : x if env("S") == "x"]',
    '{ for x in split(",", env("S")) : x => 1 }',
    '{ (env("S")) = 1 }',
    'split(",", env("S"))[*]',
    '["a", "b"][tonumber(env("ONE"))]',
    '{ a = "x" }[env("A")]',
    'element(["a", "b"], env("ONE"))',
    'lookup({ a = "x" }, env("A"))',
    'contains(["a"], env("S"))',
    'try(local.nothing, env("S"))',
    'format("%s-%s", "a", env("S"))',
    'templatefile("s.txt", {})',
    'templatefile("t.txt", { s = env("S") })',
    'sha256(env("S"))',
    'coalesce(env("S"), "x")',
    'toset([env("S"), "a"])',
    'max(1, [tonumber(env("N"))]...)',
    'sensitive("a")',
    "sensitive(5)",
    "sensitive(true)",
    "sensitive(null) == null",
    "task.t.input.config.other",
]
NOT_SENSITIVE = [
    '"a"',
    'length([env("S"), "x"])',
    'keys({ a = env("S") })',
    'nonsensitive(env("S"))',
    'nonsensitive(split(",", env("S")))',
    'nonsensitive("a")',
    'env("UNSET", "x")',
    'true || env("S") == "x"',
    'can(env("S"))',
    '[env("S"), "x"][1]',
]
ONLY_THERE = {
    '["a", env("S")]': ["a[1]"],
    '{ p = env("S"), q = "x" }': ["a.p"],
    'merge({ p = env("S") }, { q = "x" })': ["a.p"],
    'concat([env("S")], ["x"])': ["a[0]"],
    'flatten([["x"], [env("S")], split(",", env("S"))])': ["a[1]", "a[2]", "a[3]"],
    'tolist([env("S"), 1])': ["a[0]"],
    'tomap({ p = env("S"), q = 1 })': ["a.p"],
    'values({ p = env("S"), q = "x" })': ["a[0]"],
    'reverse([env("S"), "x"])': ["a[1]"],
    'slice([env("S"), "x"], 0, 2)': ["a[0]"],
    'zipmap(["p", "q"], [env("S"), "x"])': ["a.p"],
    'lookup({ p = [env("S"), "x"] }, "p")': ["a[0]"],
    'chunklist([env("S"), "x"], 1)': ["a[0][0]"],
    '[for x in [env("S"), "x"] : upper(x)]': ["a[0]"],
    '[{ n = env("S") }, { n = "x" }][*].n': ["a[0]"],
    'true ? [env("S"), 1] : ["x", "y"]': ["a[0]"],
    'try([env("S"), "x"])': ["a[0]"],
    "local.mixed": ["a.p"],
}


@pytest.fixture
def block_of(load_text: Callable[..., Any], tmp_path: Path) -> Callable[[str], ProviderBlock]:
    (tmp_path / "s.txt").write_text("x,y\n")
    (tmp_path / "t.txt").write_text("a ${s}")
    environ = {"S": "x,y", "N": "7", "ONE": "1", "A": "a", "EMPTY": ""}

    def load(expression: str) -> ProviderBlock:
        found: ProviderBlock = (
            load_text(
                'variable "v" {\n sensitive = true\n default = "x,y"\n}\n'
                'locals {\n s = env("S")\n mixed = { p = local.s, q = "x" }\n}\n'
                'task "t" {\n input {\n provider = "p"\n'
                f' config {{\n  a = {expression}\n  other = env("S")\n }}\n }}\n output {{\n provider = "p"\n }}\n}}\n',
                environ=environ,
            )
            .tasks["t"]
            .input
        )
        return found

    return load


def _paths(block: ProviderBlock) -> list[str]:
    return sorted(_written(path) for path in block.read if path[0] == "a")


def _written(path: ConfigPath) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]


@pytest.mark.parametrize("expression", SENSITIVE)
def test_what_is_computed_from_a_sensitive_value_is_sensitive(
    expression: str, block_of: Callable[[str], ProviderBlock]
) -> None:
    assert _paths(block_of(expression)) == ["a"]


@pytest.mark.parametrize("expression", NOT_SENSITIVE)
def test_other_values_are_not(expression: str, block_of: Callable[[str], ProviderBlock]) -> None:
    assert _paths(block_of(expression)) == []


@pytest.mark.parametrize(("expression", "paths"), ONLY_THERE.items())
def test_functions_that_move_items_keep_the_others_visible(
    expression: str, paths: list[str], block_of: Callable[[str], ProviderBlock]
) -> None:
    assert _paths(block_of(expression)) == paths


TEMPLATES = {
    '"{{ env "S" }}"': {"a": {"x,y"}},
    '"q-{{ env "S" | upper }}-{{ env "N" }}"': {"a": {"X,Y", "7"}},
    '{{ env "N" }}': {"a": {"7"}},
    '{{ env "N" | atoi | lt 5 }}': {"a": {"true"}},
    '{{ $x := env "S" }}["{{ $x }}", "b"]': {"a[0]": {"x,y"}},
    '[{{ range splitList "," (env "S") }}"{{ . }}", {{ end }}"b"]': {"a[0]": {"x"}, "a[1]": {"y"}},
    '"{{ with env "S" }}{{ . }}{{ end }}"': {"a": {"x,y"}},
    '"{{ expandenv "$N!" }}"': {"a": {"7!"}},
    '"${upper("{{ env "S" }}")}"': {"a": {"x,y", "X,Y"}},
    '{ "{{ env "S" }}" = 1, b = "{{ env "N" }}" }': {"a.b": {"7"}},
    '"{{ "plain" | upper }}"': {},
    '"{{ if env "S" }}plain{{ end }}"': {},
    '{{ $x := env "S" }}{{ $y := "b" }}"{{ $y }}"': {},
}


@pytest.mark.parametrize(("expression", "read"), TEMPLATES.items())
def test_what_a_template_computes_from_the_environment_is_sensitive(
    expression: str, read: dict[str, set[str]], block_of: Callable[[str], ProviderBlock]
) -> None:
    found = block_of(expression).read
    assert {_written(path): set(texts) for path, texts in found.items() if path[0] == "a"} == read


def test_what_the_author_marked_is_told_from_what_was_read(block_of: Callable[[str], ProviderBlock]) -> None:
    assert block_of('"${secret("env:N")}-${env("S")}"').secrets == {"7"}
    assert block_of('upper("${env("S")}!")').read[("a",)] == {"x,y", "X,Y!"}


def test_the_provider_gets_plain_values(block_of: Callable[[str], ProviderBlock]) -> None:
    assert block_of('[sensitive(5), env("N") > 5, { p = env("S") }]').config["a"] == [5, True, {"p": "x,y"}]


def test_the_environment_of_a_provider_is_sensitive_as_a_whole(load_text: Callable[..., Any]) -> None:
    provider = 'provider = "p"\n env = { A = env("S"), B = secret("env:N") }\n'
    text = f'task "t" {{\n input {{\n {provider} }}\n output {{\n provider = "p"\n }}\n}}\n'
    block = load_text(text, environ={"S": "x,y", "N": "7"}).tasks["t"].input
    assert (block.secrets, block.read, block.environ) == ({"7"}, {("env",): {"x,y"}}, {"A": "x,y", "B": "7"})
