"""An input of the original protocol that prints its whole config to stderr and stdout."""

import sys

from telling import leak_to_stderr, leaks, out

line_1 = sys.stdin.read()
leak_to_stderr(line_1)
for text in leaks(line_1):
    out(f"config: {text}\n")
out('{"status":"ready"}\n')
out('{"data":{"n":1}}\n')
if '"crash"' in line_1:
    raise RuntimeError(line_1)
