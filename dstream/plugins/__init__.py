"""Resolves a block's provider, provider_path or provider_ref to a command."""

from dstream.plugins._allowed import refuse_unlisted
from dstream.plugins._environment import limited_environment
from dstream.plugins._installed import Installed, installed
from dstream.plugins._lock_file import Pin, read_lock, write_lock
from dstream.plugins._platform import this_platform
from dstream.plugins._references import (
    Pull,
    binary_of,
    built_in_hint,
    explained,
    from_reference,
    install,
    pinned,
    refuse_moved,
    refuse_untrusted_reference,
)
from dstream.plugins._resolve import BUILT_IN, module_command, resolve

__all__ = [
    "BUILT_IN",
    "Installed",
    "Pin",
    "Pull",
    "binary_of",
    "built_in_hint",
    "explained",
    "from_reference",
    "install",
    "installed",
    "limited_environment",
    "module_command",
    "pinned",
    "read_lock",
    "refuse_moved",
    "refuse_unlisted",
    "refuse_untrusted_reference",
    "resolve",
    "this_platform",
    "write_lock",
]
