"""The program of `dstream init`, for the plain `pulumi` CLI. The stack's configuration contains the spec."""

from dstream_stacks.arm_program import arm_program
from dstream_stacks.stack_config import configured_spec

arm_program(configured_spec())()
