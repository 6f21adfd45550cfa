"""`python -m dstream_sandbox`: the sandbox without DStream."""

from dstream_sandbox.cli import sandbox

sandbox(prog_name="dstream sandbox")
