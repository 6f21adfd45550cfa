"""The platform of this machine, as Go names it: `linux_amd64`."""

from __future__ import annotations

import platform
import sys

_SYSTEMS = {"win32": "windows", "cygwin": "windows"}
_MACHINES = {
    **{"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"},
    **{"i386": "386", "i686": "386", "armv6l": "arm", "armv7l": "arm"},
}
"""Those that differ from Go's GOARCH (go.dev/doc/install/source#environment), in lower case."""


def this_platform() -> str:
    machine = platform.machine().lower()
    return f"{_SYSTEMS.get(sys.platform, sys.platform)}_{_MACHINES.get(machine, machine)}"
