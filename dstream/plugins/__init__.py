"""Resolves a block's provider, provider_path or provider_ref to a command."""

from dstream.plugins._allowed import refuse_unlisted
from dstream.plugins._environment import limited_environment
from dstream.plugins._installed import Installed, installed
from dstream.plugins._resolve import BUILT_IN, module_command, resolve

__all__ = ["BUILT_IN", "Installed", "installed", "limited_environment", "module_command", "refuse_unlisted", "resolve"]
