"""The output of `dstream provider`: the report of `test`, the table of `list`, the reference of `show`."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from dstream.config.schema.reference import Setting
from dstream.host.provider.describe import Introduction
from dstream.kit import CheckResult, ConformanceReport
from dstream.plugins import Installed
from dstream.protocol.messages import Hello
from dstream.shown import shown, shown_lines

_MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("-", None)}
_WIDTH = 100


def result_lines(result: CheckResult) -> str:
    """Format one result: mark and name; if the check did not pass, also the reason; if it failed, also the rule."""
    mark, color = _MARKS[result.outcome]
    line = f"  {click.style(mark, fg=color)} {result.check.name.replace('_', ' ')}"
    if result.outcome == "passed":
        return line
    reason = f"skipped: {result.reason}" if result.outcome == "skipped" else result.reason
    lines = [line, _indented(reason)]
    if result.outcome == "failed":
        lines += [_indented(f"{result.check.sentence} (docs/reference/protocol.md, {result.check.section})")]
    return "\n".join(lines)


def report_line(report: ConformanceReport) -> str:
    count = {outcome: sum(each.outcome == outcome for each in report.results) for outcome in _MARKS}
    parts = [f"{count['passed']} passed"]
    parts += [f"{count['failed']} failed"] * bool(count["failed"])
    parts += [f"{count['skipped']} skipped"] * bool(count["skipped"])
    return ", ".join(parts) + "."


def report_document(provider: str, report: ConformanceReport) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "provider": provider,
        **_identity(report.hello),
        "passed": report.passed,
        "checks": [
            {
                "name": each.check.name,
                "rule": each.check.sentence,
                "section": each.check.section,
                "outcome": each.outcome,
                "reason": each.reason,
                "took_ms": each.took_ms,
            }
            for each in report.results
        ],
    }


def list_lines(found: Sequence[tuple[Installed, Introduction | None]]) -> str:
    rows = [("name", "role", "version", "where")]
    for each, introduction in found:
        hello = introduction.hello if introduction else None
        role = hello.role if hello else "no hello" if introduction else "cannot start"
        rows.append((each.name, role, (hello.version if hello else "") or "-", each.where))
    rows = [(shown(name), shown(role), shown(version), shown(where)) for name, role, version, where in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def list_document(found: Sequence[tuple[Installed, Introduction | None]]) -> dict[str, Any]:
    providers = [
        {"installed_as": each.name, "where": each.where, **_identity(introduction.hello if introduction else None)}
        for each, introduction in found
    ]
    return {"schema_version": 1, "providers": providers}


def reference_lines(hello: Hello, docs: str, settings: Sequence[Setting]) -> str:
    """Format the settings of a provider as text."""
    version = f" {hello.version}" if hello.version else ""
    lines = [shown(f"{hello.name}{version} · {hello.role} · {', '.join(sorted(hello.capabilities))}"), ""]
    lines += [*shown_lines(docs).split("\n"), ""] if docs else []
    for each in settings:
        facts = [each.type]
        facts += ["secret"] * each.secret + ["required"] * each.required
        facts += [f"default {each.default}"] * (each.default is not None)
        lines.append(f"  {click.style(shown(each.path), bold=True)}   {shown('; '.join(facts))}")
        lines += [_indented(each.description)] if each.description else []
    return "\n".join(lines if settings else [*lines, "  No settings."])


def reference_document(
    hello: Hello, summary: str, schema: dict[str, Any], settings: Sequence[Setting]
) -> dict[str, Any]:
    return {
        "schema_version": 1,
        **_identity(hello),
        "summary": summary,
        "settings": [asdict(each) for each in settings],
        "config_schema": schema,
    }


def _identity(hello: Hello | None) -> dict[str, Any]:
    return {
        "name": hello.name if hello else None,
        "role": hello.role if hello else None,
        "version": hello.version if hello else None,
        "capabilities": hello.capabilities if hello else [],
    }


def _indented(text: str) -> str:
    text = shown_lines(text)
    width = min(shutil.get_terminal_size((_WIDTH, 0)).columns, _WIDTH)
    return textwrap.fill(text, width, initial_indent="      ", subsequent_indent="      ", break_long_words=False)
