"""Go templates with Sprig functions, which are rendered before HCL is parsed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dstream.config.gotemplate import render
from dstream.config.hcl.source import SourceFile

NOW = datetime(2026, 3, 4, 15, 6, 7, 89000, tzinfo=UTC)
ENVIRON = {"A": "va", "EMPTY": "", "LIST": "x,y", "N": "5"}


def rendered(text: str) -> SourceFile:
    return render("dstream.hcl", text, environ=ENVIRON, now=lambda: NOW)


RENDERED = [
    # pipes, parentheses, strings of both kinds
    ('a {{ env "A" }} b', "a va b"),
    ("{{ env `A` | upper }}", "VA"),
    ('{{ default "250" (env "NO_SUCH") }}', "250"),
    ('{{ env "NO_SUCH" | default "rg" | upper }}', "RG"),
    ('{{ env "EMPTY" | default "x" }}', "x"),
    ('{{ env "EMPTY" }}|', "|"),
    ('{{ replace "a" (upper (env "A")) "banana" }}', "bVAnVAnVA"),
    ('{{ "a\\"b\\n\\u00e9\\x41" }}', 'a"b\néA'),
    ('{{ "{{" }}', "{{"),
    ('{{\n  env "A"\n}}', "va"),
    # printing
    ("{{ 3 }} {{ -2.5 }} {{ 2.0 }} {{ true }} {{ nil }} {{ 0x1F }} {{ 'a' }}", "3 -2.5 2 true <no value> 31 97"),
    ('{{ list 1 "a" true }} {{ dict "b" 1 "a" 2 }}', "[1 a true] map[a:2 b:1]"),
    # comments and trimming
    ("{{/* nothing */}}x", "x"),
    ("{{- /* nothing */ -}} x", "x"),
    ('a \n {{- "b" -}} \n c', "abc"),
    ("a {{- 1 }} {{ 2 -}} b", "a1 2b"),
    # control
    ('{{ if env "A" }}yes{{ else }}no{{ end }}', "yes"),
    ('{{ if env "NO_SUCH" }}yes{{ else if eq 1 2 }}2{{ else }}no{{ end }}', "no"),
    ('{{ if and (env "A") (not (env "NO_SUCH")) }}yes{{ end }}', "yes"),
    ('{{ with env "A" }}<{{ . }}>{{ else }}no{{ end }}', "<va>"),
    ('{{ with $x := env "A" }}<{{ $x }}>{{ end }}', "<va>"),
    ('{{ range splitList "," (env "LIST") }}"{{ . }}",{{ end }}', '"x","y",'),
    ('{{ range $i, $x := list "a" "b" }}{{ $i }}{{ $x }};{{ end }}', "0a;1b;"),
    ('{{ range $k, $v := dict "b" 1 "a" 2 }}{{ $k }}{{ $v }};{{ end }}', "a2;b1;"),
    ("{{ range list }}x{{ else }}none{{ end }}", "none"),
    ('{{ $x := "a" }}{{ if true }}{{ $x }}{{ $x = "b" }}{{ end }}', "a"),
    ('{{ (dict "a" (dict "b" 5)).a.b }}', "5"),
    # Go's functions
    ('{{ printf "%s-%03d-%.1f-%q-%v%%" "a" 7 2.25 "b" (list 1) }}', 'a-007-2.2-"b"-[1]%'),
    (
        '{{ eq 1 2 1 }} {{ ne 1 2 }} {{ lt 1 2 }} {{ ge 1 2 }} {{ or "" "b" }} {{ and 1 0 }} {{ not 0 }}',
        "true true true false b 0 true",
    ),
    ('{{ len "abc" }} {{ index (list 5 6) 1 }} {{ index (dict "a" 1) "a" }} {{ print "a" 1 }}', "3 6 1 a1"),
    # Sprig: defaults
    ('{{ coalesce (env "NO_SUCH") "" (env "A") }} {{ empty "" }} {{ ternary "y" "n" true }}', "va true y"),
    ('{{ env "A" | required "needed" }}', "va"),
    # Sprig: text
    ('{{ "x" | quote }} {{ "x" | squote }} {{ 5 | quote }}', '"x" \'x\' "5"'),
    ('{{ trim "  a " }}|{{ trimAll "-" "-a-" }}|{{ trimPrefix "a" "ab" }}|{{ trimSuffix "b" "ab" }}', "a|a|b|a"),
    ('{{ title "hello world" }} {{ lower "AB" }} {{ nospace "a b" }} {{ repeat 2 "ab" }}', "Hello World ab ab abab"),
    ('{{ trunc 2 "abc" }} {{ trunc -2 "abc" }} {{ substr 1 2 "abc" }} {{ cat "a" 1 }}', "ab bc b a 1"),
    ('{{ contains "b" "abc" }} {{ hasPrefix "a" "abc" }} {{ hasSuffix "x" "abc" }}', "true true false"),
    ('{{ indent 2 "a\\nb" }}{{ nindent 1 "c" }}', "  a\n  b\n c"),
    ('{{ b64enc "hé" }} {{ b64dec "aMOp" }} {{ sha256sum "" | trunc 8 }}', "aMOp hé e3b0c442"),
    # Sprig: numbers
    (
        "{{ add 1 2 3 }} {{ sub 5 2 }} {{ mul 2 3 }} {{ div -7 2 }} {{ mod -7 2 }} {{ max 1 3 }} {{ min 2 1 }}",
        "6 3 6 -3 -1 3 1",
    ),
    ('{{ env "N" | int | mul 2 }} {{ atoi "7" }} {{ add1 1 }} {{ float64 "1.5" }}', "10 7 2 1.5"),
    # Sprig: lists and dicts
    ('{{ list "a" "b" | join "," }} {{ first (list 1 2) }} {{ last (list 1 2) }} {{ rest (list 1 2) }}', "a,b 1 2 [2]"),
    (
        '{{ has 1 (list 1) }} {{ uniq (list 1 1 2) }} {{ without (list 1 2) 1 }} {{ compact (list "" "a") }}',
        "true [1 2] [2] [a]",
    ),
    (
        '{{ sortAlpha (list "b" "a") }} {{ get (dict "a" 1) "a" }} {{ hasKey (dict) "a" }} {{ keys (dict "a" 1) }}',
        "[a b] 1 false [a]",
    ),
    ('{{ toJson (list 1 "a") }} {{ (fromJson "{\\"a\\": 1}").a }} {{ toString 5 }}', '[1,"a"] 1 5'),
    # time
    ('{{ now | date "2006-01-02" }}', NOW.astimezone().strftime("%Y-%m-%d")),
    ("{{ now | unixEpoch }}", str(int(NOW.timestamp()))),
]


@pytest.mark.parametrize(("text", "result"), RENDERED, ids=[text for text, _ in RENDERED])
def test_a_template_renders(text: str, result: str) -> None:
    source = rendered(text)

    assert source.text == result
    assert source.holes == ()


def test_go_date_layouts_are_supported() -> None:
    from dstream.config.gotemplate.go_date import go_date

    layout = "Monday Mon January Jan 2006 06 01 1 02 2 15 03 3 04 4 05 5 .000 PM pm -0700 -07:00 Z07:00"
    written = "Wednesday Wed March Mar 2026 26 03 3 04 4 15 03 3 06 6 07 7 .089 PM pm +0000 +00:00 Z"

    assert go_date(layout, NOW) == written


def test_an_unset_variable_is_empty_in_a_comparison() -> None:
    source = rendered('{{ if eq (env "NO_SUCH") "" }}unset{{ end }}')

    assert (source.text, source.holes) == ("unset", ())


def test_templates_in_comments_are_ignored(load_text: Callable[..., Any]) -> None:
    project = load_text(
        """
        # {{ env "NO_SUCH" }} {{ no_such_function }} {{ if true }} {{ not closed
        // {{ env "NO_SUCH" }}
        /* {{ env "NO_SUCH" }}
           {{ end }} */
        task "t" {
          input {
            provider = "p" # {{ env "NO_SUCH" }}
          }
          output {
            provider = "q"
          }
        }
        """
    )
    assert list(project.tasks) == ["t"]


def test_a_template_can_write_numbers_lists_and_blocks(load_text: Callable[..., Any]) -> None:
    project = load_text(
        """
        {{- range $name := list "a" "b" }}
        task "{{ $name }}" {
          input {
            provider = "p"
            config {
              interval = {{ env "N" }}
              tables   = [{{ range splitList "," (env "LIST") }}{{ . | quote }}, {{ end }}]
            }
          }
          output {
            provider = "q"
          }
        }
        {{- end }}
        """,
        environ=ENVIRON,
    )
    assert list(project.tasks) == ["a", "b"]
    assert project.tasks["b"].input.config == {"interval": 5, "tables": ["x", "y"]}


def test_positions_refer_to_the_original_file() -> None:
    source = rendered('x = "{{ env "A" }}"\ny = {{ add 1 2 }} + z\n')

    assert source.text == 'x = "va"\ny = 3 + z\n'
    z = source.place(source.text.index("z"))
    assert (z.line, z.column, z.source_line) == (2, 21, "y = {{ add 1 2 }} + z")
    template = source.place(source.text.index("va") + 1)
    assert (template.line, template.column) == (1, 6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["ab ", "\n", '{{ env "A" }}', "{{- 1 }}", "{{ 2 -}}", "{{/* c */}}", '{{ env "NO" }}', "ö"])
    )
)
def test_text_outside_templates_keeps_its_position(parts: list[str]) -> None:
    written = "".join(parts)
    source = rendered(written)

    for offset, char in enumerate(source.text):
        origin = source.origin(offset)
        verbatim = char in "ab \nö" and written[origin] == char
        assert verbatim or written.startswith("{{", origin)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet='ab "`|()$.:=-{}/*\n1', max_size=30).map(lambda text: "{{" + text))
def test_rendering_never_raises(text: str) -> None:
    rendered(text)
