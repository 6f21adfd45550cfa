"""Every mistake is reported with its code, its place and a helpful message. ▸ marks the place in the text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from dstream.errors import ConfigError, ConfigErrors


class Case(NamedTuple):
    name: str
    hcl: str
    code: str
    words: str
    """Part of the message and hint."""


def in_config(text: str) -> str:
    return f"""\
task "t" {{
  input {{
    provider = "p"
    config {{
      {text}
    }}
  }}
  output {{
    provider = "q"
  }}
}}
"""


def in_task(text: str) -> str:
    return f"""\
task "t" {{
  {text}
  input {{
    provider = "p"
  }}
  output {{
    provider = "q"
  }}
}}
"""


def in_input(text: str) -> str:
    return f"""\
task "t" {{
  input {{
    {text}
  }}
  output {{
    provider = "q"
  }}
}}
"""


SYNTAX = [
    Case("no value", "locals {\n  a =▸\n}", "config.syntax", "expected a value, not the end of the line"),
    Case(
        "no equals sign", "locals {\n  a ▸5\n}", "config.syntax", '"5" is unexpected; expected "=" and a value, or "{"'
    ),
    Case("a colon", "locals {\n  a▸: 5\n}", "config.syntax", 'use "=" for an attribute, not ":"'),
    Case(
        "a comma", "locals {\n  a = 1▸, b = 2\n}", "config.syntax", "separate attributes with line breaks, not commas"
    ),
    Case(
        "two on a line",
        "locals {\n  a = 1 ▸b = 2\n}",
        "config.syntax",
        "each attribute and block must start on its own line",
    ),
    Case(
        "two blocks on a line",
        "locals {} ▸locals {}",
        "config.syntax",
        "each attribute and block must start on its own line",
    ),
    Case(
        "a quoted name",
        'locals {\n  ▸"a" = 1\n}',
        "config.syntax",
        "write the name of an attribute or block without quotes",
    ),
    Case("an unclosed block", 'task "t" ▸{\n  input {\n  }\n', "config.syntax", 'this "{" is never closed'),
    Case(
        "an unclosed inner block",
        'task "t" {\n  input ▸{\n    config {\n    }\n\n  output {\n  }\n}\n',
        "config.syntax",
        'this "{" is never closed',
    ),
    Case("an extra brace", "locals {\n}\n▸}\n", "config.syntax", 'unmatched "}"'),
    Case(
        "mismatched brackets", "locals {\n  a = ▸[1, 2\n}\n", "config.syntax", '"[" is not closed before the next "}"'
    ),
    Case("a string across lines", 'locals {\n  a = ▸"x\n}\n', "config.syntax", "not closed on its line"),
    Case("an unclosed string", 'locals {\n  a = "${▸"x', "config.syntax", "never closed"),
    Case("an unclosed comment", "locals {}\n▸/* so\n", "config.syntax", 'this "/*" is never closed'),
    Case("an unclosed heredoc", "locals {\n  a = ▸<<EOT\n  x\n}\n", "config.syntax", 'no line holds just "EOT"'),
    Case("an unclosed interpolation", 'locals {\n  a = "▸${b"\n}\n', "config.syntax", '"${" is never closed'),
    Case("an empty interpolation", 'locals {\n  a = "${▸}"\n}\n', "config.syntax", "expected an expression"),
    Case("an unknown escape", 'locals {\n  a = "HOST▸\\SQL"\n}\n', "config.syntax", "in a string Write a backslash as"),
    Case(
        "an invalid Unicode character", 'locals {\n  a = "▸\\ud800"\n}\n', "config.syntax", "is not a Unicode character"
    ),
    Case(
        "a list without commas", "locals {\n  a = [1 ▸2]\n}\n", "config.syntax", 'separate the items of a list with ","'
    ),
    Case(
        "arguments without commas",
        "locals {\n  a = max(1 ▸2)\n}\n",
        "config.syntax",
        'separate the arguments of a function with ","',
    ),
    Case("an object without commas", "locals {\n  a = { b = 1 ▸c = 2 }\n}\n", "config.syntax", "commas or line breaks"),
    Case(
        "an expression as key",
        "locals {\n  a = { ▸b.c = 1 }\n}\n",
        "config.syntax",
        "a key must be a name, a string, or an expression in parentheses",
    ),
    Case("an unexpected character", "locals {\n  a = ▸$b\n}\n", "config.syntax", 'expected a value, not "$"'),
    Case(
        "an operator without right side",
        "locals {\n  a = 1 +▸\n}\n",
        "config.syntax",
        "expected a value, not the end of the line",
    ),
    Case(
        "an incomplete conditional",
        "locals {\n  a = true ? 1▸\n}\n",
        "config.syntax",
        "the end of the line is unexpected",
    ),
    Case(
        "a label with an interpolation",
        'task ▸"t${1}" {\n}\n',
        "config.syntax",
        "a label must be plain text, without ${}",
    ),
    Case(
        "a directive without a keyword",
        'locals {\n  a = "▸%{ x }"\n}\n',
        "config.syntax",
        "expected if, else, endif, for or endfor",
    ),
    Case("an unclosed if", 'locals {\n  a = "▸%{ if true }x"\n}\n', "config.syntax", 'never closed with "%{ endif }"'),
    Case("a stray endfor", 'locals {\n  a = "x▸%{ endfor }"\n}\n', "config.syntax", 'unmatched "endfor"'),
    Case("a for without in", 'locals {\n  a = "▸%{ for x }%{ endfor }"\n}\n', "config.syntax", "%{ for NAME in LIST }"),
    Case("inside an interpolation", 'locals {\n  a = "x${1 ▸2}"\n}\n', "config.syntax", '"2" is unexpected'),
    Case("inside a heredoc", "locals {\n  a = <<EOT\nx\n${1 ▸2}\nEOT\n}\n", "config.syntax", '"2" is unexpected'),
    Case(
        "nesting that is too deep",
        "locals {\n  a = " + "(" * 79 + "▸(" + ")" * 80 + "\n}",
        "config.syntax",
        "nested deeper",
    ),
]

BLOCKS = [
    Case("an unknown block", '▸tsk "t" {\n}\n', "config.unknown_block", 'unknown block "tsk" Did you mean "task"?'),
    Case(
        "an unknown attribute at the top",
        "▸a = 1\n",
        "config.unknown_attribute",
        'unknown attribute "a" No attributes are allowed here.',
    ),
    Case(
        "a block written as attribute", "▸locals = {}\n", "config.unknown_attribute", "is a block Write locals { ... }"
    ),
    Case("an unknown attribute of a task", in_task("▸tpye = 1"), "config.unknown_attribute", 'Did you mean "type"?'),
    Case("an unknown block of a task", in_task("▸inputs {\n  }"), "config.unknown_block", 'Did you mean "input"?'),
    Case("a name in the wrong case", in_task("▸Restart {\n  }"), "config.unknown_block", 'Did you mean "restart"?'),
    Case(
        "an attribute written as block",
        in_task("▸type {\n  }"),
        "config.unknown_block",
        "is an attribute Write type = ...",
    ),
    Case(
        "an unknown attribute of an input",
        in_input('provider = "p"\n    ▸confg = {}'),
        "config.unknown_attribute",
        'Did you mean "config"?',
    ),
    Case(
        "a name without a similar one",
        in_task("▸zzz = 1"),
        "config.unknown_attribute",
        "Known attributes: max_line, start_timeout, type.",
    ),
    Case("a task without a name", "▸task {\n}\n", "config.label", 'use the form task "NAME" { ... }'),
    Case("a task with two names", 'task "a" ▸"b" {\n}\n', "config.label", 'use the form task "NAME" { ... }'),
    Case("locals with a name", 'locals ▸"a" {\n}\n', "config.label", "use the form locals { ... }"),
    Case(
        "an input with a name",
        'task "t" {\n  input ▸"a" {\n    provider = "p"\n  }\n  output {\n    provider = "q"\n  }\n}',
        "config.label",
        'block "input" takes no label',
    ),
    Case(
        "a name that is a path",
        'task ▸"../t" {\n}\n',
        "config.label",
        "invalid task name The name must not be empty, consist of dots,",
    ),
    Case("no output", '▸task "t" {\n  input {\n    provider = "p"\n  }\n}\n', "config.missing", "has no output block"),
    Case("no provider", in_input("").replace("  input", "  ▸input"), "config.missing", "the input has no provider"),
    Case(
        "two providers",
        in_input('provider = "p"\n    ▸provider_path = "./p"'),
        "config.duplicate",
        "specifies its provider twice, by provider and provider_path (first at",
    ),
    Case(
        "an empty provider", in_input('provider = ▸""'), "config.type", "provider must be a string, not an empty string"
    ),
    Case(
        "an environment with a number",
        in_input('provider = "p"\n    env = ▸{ A = 1 }'),
        "config.type",
        "env must be an object of strings",
    ),
    Case(
        "an environment with an impossible name",
        in_input('provider = "p"\n    env = ▸{ "A=B" = "" }'),
        "config.type",
        'invalid environment variable "A=B"',
    ),
    Case("a provider that is a list", in_input('provider = ▸["p"]'), "config.type", "must be a string, not a list"),
    Case(
        "an unknown task type",
        in_task('type = ▸"batch"'),
        "config.type",
        'unknown task type "batch" The only type is "providers"; you',
    ),
    Case("max_line of 0", in_task("max_line = ▸0"), "config.type", "max_line must be a positive number"),
    Case("max_line as text", in_task('max_line = ▸"big"'), "config.type", 'or a size such as "16MiB", not "big"'),
    Case("start_timeout without unit", in_task("start_timeout = ▸60"), "config.type", 'such as "30s"'),
    Case(
        "a negative restart count",
        in_task("restart {\n    max_attempts = ▸-1\n  }"),
        "config.type",
        "max_attempts must be a whole number of at least 0, not a number",
    ),
    Case(
        "an unknown state backend",
        'dstream {\n  state {\n    backend = ▸"s4"\n  }\n}',
        "config.unsupported",
        "Backends: file, azblob, postgres, mssql",
    ),
    Case(
        "a lease that Azure does not allow",
        'dstream {\n  state {\n    lease = ▸"5s"\n  }\n}',
        "config.type",
        "lease must be whole seconds from 15s to 60s",
    ),
    Case(
        "a stack name that is a path",
        'dstream {\n  infrastructure {\n    stack = ▸".."\n  }\n}',
        "config.type",
        "invalid stack name Use letters, digits, '-', '_' and '.'; for Pulumi Cloud also ORGANIZATION/STACK.",
    ),
    *(
        Case(
            f"a stack name with {what}",
            f'dstream {{\n  infrastructure {{\n    stack = ▸"{name}"\n  }}\n}}',
            "config.type",
            "invalid stack name",
        )
        for what, name in (("two slashes", "a/b/c"), ("no organization", "/prod"), ("a path", "../prod"))
    ),
    Case(
        "an unknown setting of dstream", "dstream {\n  ▸stat {\n  }\n}", "config.unknown_block", 'Did you mean "state"?'
    ),
    Case(
        "a version that is too new",
        'dstream {\n  required_version = ▸">= 99"\n}',
        "config.version",
        'requires DStream ">= 99"',
    ),
    Case(
        "an invalid version",
        'dstream {\n  required_version = ▸"new"\n}',
        "config.version",
        'required_version is not a valid version constraint Use e.g. ">=',
    ),
]

DUPLICATES = [
    Case(
        "two tasks with the same name",
        in_task("") + "▸" + in_task(""),
        "config.duplicate",
        'task "t" is defined twice (first at dstream.hcl:1:1)',
    ),
    Case(
        "two dstream blocks", "dstream {\n}\n▸dstream {\n}\n", "config.duplicate", "dstream is defined twice (first at"
    ),
    Case(
        "two inputs",
        in_task("▸input {\n  }\n")
        .replace("▸input {\n  }", 'input {\n    provider = "p"\n  }')
        .replace('\n  input {\n    provider = "p"\n  }\n  output', '\n  ▸input {\n    provider = "p"\n  }\n  output'),
        "config.duplicate",
        'duplicate block "input" (first at dstream.hcl:2:3)',
    ),
    Case(
        "an attribute twice",
        in_task("type = null\n  ▸type = null"),
        "config.duplicate",
        '"type" is set twice (first at',
    ),
    Case(
        "a local twice", "locals {\n  a = 1\n}\nlocals {\n  ▸a = 2\n}", "config.duplicate", "(first at dstream.hcl:2:3)"
    ),
    Case(
        "a local twice in a block", "locals {\n  a = 1\n  ▸a = 2\n}", "config.duplicate", "(first at dstream.hcl:2:3)"
    ),
    Case(
        "a variable twice",
        'variable "a" {\n  default = 1\n}\n▸variable "a" {\n}',
        "config.duplicate",
        "dstream.hcl:1:1",
    ),
    Case("a setting twice", in_config("a = 1\n      ▸a = 2"), "config.duplicate", "(first at dstream.hcl:5:7)"),
    Case("a setting and a block", in_config("a = 1\n      ▸a {\n      }"), "config.duplicate", '"a" is set twice'),
    Case(
        "a label twice",
        in_config('a "x" {\n      }\n      ▸a "x" {\n      }'),
        "config.duplicate",
        '"a x" is set twice',
    ),
    Case(
        "a label missing",
        in_config('a "x" {\n      }\n      ▸a {\n      }'),
        "config.label",
        "has no label, but another one has",
    ),
    Case("a key twice", in_config("a = { b = 1, ▸b = 2 }"), "config.duplicate", 'duplicate key "b"'),
    Case(
        "a key of a config map twice",
        in_input('provider = "p"\n    config = { a = 1, ▸a = 2 }'),
        "config.duplicate",
        '"a" is set twice (first at dstream.hcl:4:16)',
    ),
    Case(
        "a config twice",
        in_input('provider = "p"\n    config = {}\n    ▸config {\n    }'),
        "config.duplicate",
        '"config" is set twice (first at dstream.hcl:4:5)',
    ),
    Case(
        "a for with equal keys",
        in_config('a = { for x in ["b", "b"] : ▸x => 1 }'),
        "config.duplicate",
        'duplicate key "b" Add `...` after the value',
    ),
]

NAMES = [
    Case("an unknown variable", in_config("a = var.▸en"), "config.undefined", 'unknown variable "en"'),
    Case(
        "a misspelled variable",
        'variable "region" {\n  default = 1\n}\n' + in_config("a = var.▸regoin"),
        "config.undefined",
        'Did you mean "region"?',
    ),
    Case("an unknown local", in_config("a = local.▸b"), "config.undefined", 'unknown local "b"'),
    Case("text without quotes", in_config("a = ▸dev"), "config.undefined", 'Text needs quotes: "dev".'),
    Case("an unknown task", in_config("a = task.▸x.output"), "config.undefined", 'unknown task "x"'),
    Case("an unknown part of a task", in_config("a = task.t.▸outptu"), "config.undefined", 'Did you mean "output"?'),
    Case(
        "an unknown setting of a task",
        in_config("a = task.t.output.config.▸b"),
        "config.undefined",
        "task.t.output.config",
    ),
    Case(
        "an unknown function",
        in_config('a = ▸uper("b")'),
        "config.undefined",
        'unknown function "uper" Did you mean "upper"?',
    ),
    Case("an unknown key", in_config("a = { b = 1 }.▸c"), "config.undefined", 'unknown attribute "c"'),
    Case(
        "an index out of range",
        in_config("a = [1][▸1]"),
        "config.undefined",
        "index 1 is out of range for a list of length 1",
    ),
    Case("a negative index", in_config("a = [1][▸-1]"), "config.undefined", "index -1 is out of range"),
    Case("a local that refers to itself", "locals {\n  ▸a = local.a\n}", "config.cycle", "local.a → local.a"),
    Case(
        "a cycle of locals",
        "locals {\n  ▸a = b\n  b = c\n  c = a\n}",
        "config.cycle",
        "local.a → local.b → local.c → local.a",
    ),
    Case(
        "a setting that refers to itself",
        in_config("▸a = task.t.input.config.a"),
        "config.cycle",
        "task.t.input.config.a",
    ),
    Case(
        "a variable without a value",
        '▸variable "a" {\n}',
        "config.missing",
        'variable "a" has no value Set it with --var a=VALUE or',
    ),
    Case(
        "an unknown type",
        'variable "a" {\n  type = ▸strng\n  default = 1\n}',
        "config.type",
        "not a valid type Types: string",
    ),
    Case(
        "a quoted type", 'variable "a" {\n  type = ▸"string"\n  default = 1\n}', "config.type", "without quotes: string"
    ),
    Case(
        "a default of another type",
        'variable "a" {\n  type = number\n  default = ▸"x"\n}',
        "config.type",
        "must be number",
    ),
    Case(
        "an item of another type",
        'variable "a" {\n  type = list(number)\n  default = ▸["x"]\n}',
        "config.type",
        "the default must be list(number), not a string that is not a number",
    ),
]

VALUES = [
    Case(
        "an unset variable",
        in_config('a = ▸env("NO_SUCH")'),
        "config.env_unset",
        'NO_SUCH is not set Set it, or give a default: env("NO_SUCH", "x")',
    ),
    Case(
        "an unset variable in text", in_config('a = "b-${▸env("NO_SUCH")}"'), "config.env_unset", "NO_SUCH is not set"
    ),
    Case("an unset secret", in_config('a = ▸secret("env:NO_SUCH")'), "config.env_unset", "A secret has no default."),
    Case(
        "a secret in a vault",
        in_config('a = secret(▸"azurekeyvault://retail")'),
        "config.call",
        "azurekeyvault://VAULT/NAME",
    ),
    Case(
        "the hint of a secret of a vault",
        in_config('a = secret(▸"azurekeyvault://retail")'),
        "config.call",
        "Names have letters, digits and hyphens.",
    ),
    Case("a secret without a source", in_config('a = secret(▸"hunter2")'), "config.call", 'Use secret("env:NAME")'),
    Case(
        "a missing file",
        in_config('a = file(▸"no.txt")'),
        "config.file",
        "cannot read no.txt: No such file or directory",
    ),
    Case(
        "invalid YAML",
        in_config('a = yamldecode(▸"a: 1\\nb: [")'),
        "config.call",
        "not valid YAML: line 2, column 5: ",
    ),
    Case(
        "two YAML documents",
        in_config('a = yamldecode(▸"a\\n---\\nb")'),
        "config.call",
        "line 2, column 1: but found another",
    ),
    Case("YAML with a duplicate key", in_config('a = yamldecode(▸"b: 1\\nb: 2")'), "config.call", 'duplicate key "b"'),
    Case(
        "YAML with a tag",
        in_config('a = yamldecode(▸"!!python/name:os.system x")'),
        "config.call",
        "!!python/name:os.sy",
    ),
    Case(
        "YAML that contains itself", in_config('a = yamldecode(▸"&a [*a]")'), "config.call", "nested more than 100 deep"
    ),
    Case(
        "YAML with infinity",
        in_config('a = yamldecode(▸"b: .inf")'),
        "config.call",
        "yamldecode: not valid YAML: line 1, column 4: .inf is not",
    ),
    Case("too few arguments", in_config("a = ▸replace()"), "config.call", "replace: takes 3 arguments, not 0"),
    Case("too many arguments", in_config('a = ▸upper("a", "b")'), "config.call", "upper: takes 1 argument, not 2"),
    Case(
        "an argument of another type",
        in_config("a = upper(▸[])"),
        "config.call",
        "argument 1 must be a string, not a list",
    ),
    Case(
        "text for a number",
        in_config('a = max(1, ▸"b")'),
        "config.call",
        "argument 2 must be a number, not a string that",
    ),
    Case("invalid JSON", in_config('a = jsondecode(▸"{")'), "config.call", "not valid JSON"),
    Case("invalid base64", in_config('a = base64decode(▸"%")'), "config.call", "not valid base64 of UTF-8 text"),
    Case("a missing key", in_config('a = lookup({}, ▸"b")'), "config.call", 'the object has no key "b"'),
    Case(
        "coalesce without a value",
        in_config('a = ▸coalesce(null, "")'),
        "config.call",
        "all arguments are null or empty",
    ),
    Case("a format verb without an argument", in_config('a = ▸format("%s")'), "config.call", "no argument for %s"),
    Case(
        "an argument without a format verb", in_config('a = format("b", ▸1)'), "config.call", "no verb for argument 2"
    ),
    Case(
        "text for %d",
        in_config('a = format("%d", ▸"b")'),
        "config.call",
        "format: %d cannot format argument 2, a string that is not a number",
    ),
    Case("a range that is too long", in_config("a = ▸range(2000)"), "config.call", "more than 1024 numbers"),
    Case(
        "adding text", in_config('a = 1 ▸+ "b"'), "config.type", '"+" needs numbers, not a string that is not a number'
    ),
    Case("dividing by zero", in_config("a = 1 ▸/ 0"), "config.type", "division by zero"),
    Case("negating a number", in_config("a = ▸!1"), "config.type", '"!" needs true or false, not a number'),
    Case("text as a condition", in_config('a = ▸"b" ? 1 : 2'), "config.type", '"?" needs true or false, not a string'),
    Case(
        "a list in text",
        in_config('a = "b-${▸[]}"'),
        "config.type",
        "a list cannot be used inside a string Convert a list",
    ),
    Case("null in text", in_config('a = "b-${▸null}"'), "config.type", "null cannot be used inside a string"),
    Case("an attribute of text", in_config('a = "b".▸c'), "config.type", "a string has no attributes"),
    Case(
        "a for over text",
        in_config('a = [for x in ▸"b" : x]'),
        "config.type",
        "for iterates over a list or an object, not a string",
    ),
    Case("a spread of text", in_config('a = max(▸"b"...)'), "config.type", 'only a list can be spread with "..."'),
    Case(
        "a config that is a list",
        in_input('provider = "p"\n    config = ▸[]'),
        "config.type",
        "must be an object, not a list",
    ),
    Case("a number over 64 bits", in_config("a = ▸18446744073709551616"), "config.type", "more than 64 bits"),
    Case(
        "half a surrogate pair", in_config(r'a = ▸jsondecode("\"\\ud800\"")'), "config.type", "a is not valid Unicode"
    ),
    Case("a number too large", in_config("a = ▸1e999"), "config.syntax", "this number is too large"),
]

TEMPLATES = [
    Case(
        "an unset variable",
        in_config('a = "▸{{ env "NO_SUCH" }}"'),
        "config.env_unset",
        '{{ env "NO_SUCH" | default "x" }}',
    ),
    Case(
        "an unset variable on its own", in_config('a = ▸{{ env "NO_SUCH" }}'), "config.env_unset", "NO_SUCH is not set"
    ),
    Case(
        "an unset variable within text",
        in_config('a = "b-▸{{ env "NO_SUCH" | upper }}-c"'),
        "config.env_unset",
        "NO_SUCH is not set",
    ),
    Case("an unset variable as a line", in_config('▸{{ env "NO_SUCH" }}'), "config.env_unset", "NO_SUCH is not set"),
    Case(
        "an unset variable as a name", in_config('▸{{ env "NO_SUCH" }} = 1'), "config.env_unset", "NO_SUCH is not set"
    ),
    Case("an unset variable as a label", 'task "▸{{ env "NO_SUCH" }}" {\n}', "config.env_unset", "NO_SUCH is not set"),
    Case("an unknown function", in_config('a = "▸{{ uper "b" }}"'), "config.template", 'Did you mean "upper"?'),
    Case("wrong arguments", in_config('a = "▸{{ upper 5 }}"'), "config.template", "upper: expected text, not a number"),
    Case("required", in_config('a = "▸{{ required "say where" (env "NO_SUCH") }}"'), "config.template", "say where"),
    Case("an unclosed template", in_config('a = "▸{{ env "NO_SUCH""'), "config.template", 'this "{{" is not closed'),
    Case("an if without an end", in_config("a = 1\n▸{{ if true }}"), "config.template", "never closed"),
    Case(
        "define",
        in_config('a = "▸{{ define "b" }}"'),
        "config.template",
        'the template action "define" is not supported',
    ),
    Case("data", in_config('a = "▸{{ .Values.b }}"'), "config.template", "templates have no data"),
    Case("quotes in a value", in_config('a = "▸{{ env "QUOTES" }}"'), "config.syntax", "it accepts any value"),
    Case("a line break in a value", in_config('a = "▸{{ env "LINES" }}"'), "config.syntax", "it accepts any value"),
    Case("a backslash in a value", in_config('a = "▸{{ env "BACKSLASH" }}"'), "config.syntax", "it accepts any value"),
    Case(
        "after a template",
        in_config('a = "{{ env "LONG" }}${▸nothing}"'),
        "config.undefined",
        'unknown local "nothing"',
    ),
    Case("below a template", in_config('a = "{{ env "LONG" }}"\n      b = ▸nothing'), "config.undefined", '"nothing"'),
    Case("text without quotes", in_config('a = ▸{{ env "WORD" }}'), "config.undefined", ""),
]

ENVIRON = {"QUOTES": 'a"b', "LINES": "a\nb", "BACKSLASH": "HOST\\SQL", "LONG": "x" * 100, "WORD": "word"}

CASES = [
    pytest.param(case, id=f"{group}: {case.name}")
    for group, cases in (
        ("syntax", SYNTAX),
        ("blocks", BLOCKS),
        ("duplicates", DUPLICATES),
        ("names", NAMES),
        ("values", VALUES),
        ("templates", TEMPLATES),
    )
    for case in cases
]


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_reported_at_its_place(
    case: Case, load_text: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    before, marked, after = case.hcl.partition("▸")
    assert marked
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")

    with pytest.raises(ConfigErrors) as raised:
        load_text(before + after, environ=ENVIRON)

    assert len(raised.value.errors) == 1, [str(error) for error in raised.value.errors]
    error = raised.value.errors[0]
    assert error.place is not None
    text = f"{error.message} {error.hint}".replace(str(tmp_path) + "/", "")
    assert (error.code, error.place.line, error.place.column) == (case.code, line, column), text
    assert case.words in text
    assert error.place.source_line == (before + after).split("\n")[line - 1]


def test_all_mistakes_are_reported_together_and_in_order(load_text: Callable[..., Any]) -> None:
    with pytest.raises(ConfigErrors) as raised:
        load_text(
            """
            locals {
              a = local.nothing
            }
            task "t" {
              typ = "providers"
              input {
                provider = "p"
                config {
                  b = local.a
                  c = env("NO_SUCH")
                  d {
                    e = nothing
                    f = upper()
                  }
                }
              }
            }
            """
        )
    found = [(error.place.line, error.code) for error in raised.value.errors if error.place]
    assert found == [
        (3, "config.undefined"),
        (5, "config.missing"),
        (6, "config.unknown_attribute"),
        (11, "config.env_unset"),
        (13, "config.undefined"),
        (14, "config.call"),
    ]


def test_a_cycle_names_the_place_of_each_member(load_text: Callable[..., Any], tmp_path: Any) -> None:
    with pytest.raises(ConfigErrors) as raised:
        load_text("locals {\n  a = b\n  b = a\n}\n")

    (error,) = raised.value.errors
    assert isinstance(error, ConfigError)
    assert list(error.details) == [
        f"local.a is defined at {tmp_path}/dstream.hcl:2:3",
        f"local.b is defined at {tmp_path}/dstream.hcl:3:3",
    ]


def test_the_place_names_its_block(load_text: Callable[..., Any]) -> None:
    with pytest.raises(ConfigErrors) as raised:
        load_text(in_config("a = nothing"))

    place = raised.value.errors[0].place
    assert place is not None
    assert place.block == 'task "t", input'


def test_a_rendered_value_never_shows_in_an_error(load_text: Callable[..., Any]) -> None:
    for expression in ('"{{ env "S" }}"', '{{ env "S" }}', '{{ env "S" }} = 1', '[{{ env "S" }}', 'x{{ env "S" }}'):
        with pytest.raises(ConfigErrors) as raised:
            load_text(in_config(f"a = {expression}"), environ={"S": 'hunter2" hunter2'})
        for error in raised.value.errors:
            assert "hunter2" not in f"{error.message} {error.hint} {error.place}"
