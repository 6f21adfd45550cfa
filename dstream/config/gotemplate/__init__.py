"""The template layer of the original: renders `{{ env "NAME" | default "x" }}` before the text is parsed as HCL.

Implements Go's text/template (https://pkg.go.dev/text/template) with the functions of Sprig
(https://masterminds.github.io/sprig/). Rendering never fails: a template that is invalid or has no value becomes a
marker in the text, with the reason in `SourceFile.holes`, so that it does no harm in a comment or an unused task.
"""

from dstream.config.gotemplate.render import render

__all__ = ["render"]
