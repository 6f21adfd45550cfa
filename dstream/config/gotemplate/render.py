"""Renders the templates of a file into a source that can be parsed as HCL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from dstream.config.hcl.problem import Problem
from dstream.config.hcl.refusal import refusal
from dstream.config.hcl.source import Segment, SourceFile
from dstream.errors import ConfigError


def render(
    name: str, written: str, *, environ: Mapping[str, str], now: Callable[[], datetime], is_untrusted: bool = False
) -> SourceFile:
    """Return the rendered source. Raises ConfigError for templates that take too long or are nested too deeply, and
    RefusedError if the file is untrusted and a template reads the environment.
    """
    if "{{" not in written:
        return SourceFile(name, written, written)
    from dstream.config.gotemplate import parse, sprig  # most files have no template
    from dstream.config.gotemplate.execute import Executor, TemplateRefused, TemplateTooLong

    executor = Executor(sprig.functions(environ, now), sprig.TOLERANT, sprig.READING, is_untrusted=is_untrusted)
    try:
        executor.run(parse.parse(written))
    except TemplateTooLong as error:
        raise _failure(name, written, str(error), error.at) from None
    except TemplateRefused as error:
        raise refusal(str(error), SourceFile(name, written, written).place(error.at)) from None
    except RecursionError:
        raise _failure(name, written, "templates are nested too deeply", written.index("{{")) from None
    output = executor.output
    segments = tuple(output.segments) or (Segment(0, 0, True),)
    return SourceFile(name, written, "".join(output.parts), segments, tuple(output.holes))


def _failure(name: str, written: str, message: str, at: int) -> ConfigError:
    return SourceFile(name, written, written).error(Problem("config.template", message, at))
