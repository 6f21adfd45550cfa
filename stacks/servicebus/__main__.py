"""What `dstream init` runs, for the plain `pulumi` CLI. What it makes stands in the stack's configuration."""

from dstream_stacks.arm_program import arm_program
from dstream_stacks.stack_config import configured_spec

arm_program(configured_spec())()
