"""The template layer of the original: `{{ env "NAME" | default "x" }}` in the text, before it is read as HCL.

Go's text/template (https://pkg.go.dev/text/template) with the helpers of Sprig (https://masterminds.github.io/sprig/).
Rendering never fails: where a template has no value or is wrong, a marker stands in the text and the reason in
`Source.holes`, so that a template in a comment, or in a task that nobody runs, harms nobody.
"""

from dstream.config.gotemplate.render import render

__all__ = ["render"]
