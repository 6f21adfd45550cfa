"""No text makes reading a configuration crash, or take all memory or time: each of these is an ordinary error."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dstream.config import load
from dstream.errors import ConfigErrors

DIGITS = "9" * 5_000
DEEP = 3_000

NUMBERS = {
    "an exponent in JSON": 'jsondecode("[1e400]")',
    "a whole number in JSON": f'jsondecode("[{DIGITS}]")',
    "a whole number in YAML": f'yamldecode("a: {DIGITS}")',
    "hexadecimal digits in YAML": f'yamldecode("a: 0x{DIGITS}")',
    "an exponent in YAML": 'yamldecode("a: 1e400")',
    "digits of another base": f'"${{parseint("{DIGITS}", 16)}}"',
    "a number from text": f'tonumber("{DIGITS}")',
    "a huge exponent in a literal": "1e99999999999999999999999",
}
TEMPLATES = {
    "nested conditions": "{{ if true }}" * DEEP + "{{ end }}" * DEEP,
    "nested parentheses": "{{ " + "(" * DEEP + "1" + ")" * DEEP + " }}",
    "many else ifs": "{{ if false }}" + "{{ else if false }}" * DEEP + "{{ end }}",
    "a long loop": "{{ range 300000000 }}{{ end }}",
    "loops in loops": "{{ range 99999 }}{{ range 99999 }}{{ end }}{{ end }}",
    "a wide number": 'x = "{{ printf "%2000000000d" 1 }}"',
    "a precise fraction": 'x = "{{ printf "%.2000000000f" 1.5 }}"',
    "a wide indent": 'x = "{{ indent 2000000000 "a" }}"',
    "doubled text": '{{ $x := "aaaaaaaa" }}' + "{{ $x = print $x $x }}" * 60 + 'x = "{{ $x }}"',
    "digits": f"x = {{{{ {DIGITS} }}}}",
    "a product": "{{ $x := 999999999 }}" + "{{ $x = mul $x $x }}" * 12 + "x = {{ $x }}",
    "nested JSON": "x = {{ fromJson `" + "[" * 100_000 + "` }}",
}
NESTED = {
    "operators": "-" * 20_000 + "x",
    "sums": "+".join(["1"] * 20_000),
    "conditionals": "true ? 1 : " * 5_000 + "1",
    "attributes": "local" + ".a" * 20_000,
    "JSON": f'jsondecode("{"[" * 100_000}")',
}


@pytest.mark.parametrize("expression", NUMBERS.values(), ids=NUMBERS)
def test_a_number_that_is_too_large_is_an_error(expression: str, evaluate: Callable[..., Any]) -> None:
    with pytest.raises(ConfigErrors):
        evaluate(expression)


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_a_template_that_never_ends_or_fills_memory_is_an_error(template: str, load_text: Callable[..., Any]) -> None:
    with pytest.raises(ConfigErrors):
        load_text(f"locals {{\n  {template}\n}}")


@pytest.mark.parametrize("expression", NESTED.values(), ids=NESTED)
def test_an_expression_that_is_nested_too_deeply_is_an_error(expression: str, load_text: Callable[..., Any]) -> None:
    with pytest.raises(ConfigErrors) as raised:
        load_text(f"locals {{\n  x = {expression}\n}}")
    assert any(re.search("nested too deeply|not valid JSON", error.message) for error in raised.value.errors)


def test_a_chain_of_names_that_is_too_long_is_an_error(load_text: Callable[..., Any]) -> None:
    chain = "\n".join(f"x{number} = local.x{number + 1}" for number in range(DEEP))
    with pytest.raises(ConfigErrors) as raised:
        load_text(f"locals {{\n{chain}\nx{DEEP} = 1\n}}")
    assert raised.value.errors[0].message == "nested too deeply"


@pytest.mark.parametrize("expression", ['file("{}")', 'secret("file:{}")', 'templatefile("{}", {{}})'])
def test_only_files_of_limited_size_can_be_read(expression: str, load_text: Callable[..., Any], tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    for name in ("/dev/zero", "large"):
        with pytest.raises(ConfigErrors) as raised:
            load_text(f"locals {{\n  x = {expression.format(name)}\n}}")
        assert [error.code for error in raised.value.errors] == ["config.file"]
        assert "longer than 16,777,216 characters" in raised.value.errors[0].message


@pytest.mark.parametrize("name", ["/dev/zero", "large"])
def test_the_configuration_itself_has_a_limited_size(name: str, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ConfigErrors) as raised:
        load(tmp_path / name, environ={})
    assert "longer than 16,777,216 characters" in raised.value.errors[0].message


@pytest.mark.parametrize(
    "twice", ['"${X}${X}"', 'join("", [X, X])', 'replace("aa", "a", X)', 'replace("aa", "/a/", X)', "indent(9999, X)"]
)
def test_text_that_grows_until_it_fills_memory_is_an_error(twice: str, load_text: Callable[..., Any]) -> None:
    lines = "\\n" * 5_000
    chain = "\n".join(f"x{number + 1} = {twice.replace('X', f'local.x{number}')}" for number in range(60))
    with pytest.raises(ConfigErrors) as raised:
        load_text(f'locals {{\nx0 = "{lines}"\n{chain}\n}}')
    assert "longer than 16,777,216 characters" in raised.value.errors[0].message
