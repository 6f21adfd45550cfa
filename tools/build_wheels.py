"""Builds the wheels of all packages, with requirement files that pin them and all packages they need by SHA-256.

`build_wheels.py UV FOLDER` writes the wheels to the folder, with `requirements.txt` (everything but the sandbox) and
`requirements-sandbox.txt` (everything). Versions and hashes of other packages are those of uv.lock. Those that are only
published as source are built, too, so that no other machine builds anything.

Install with `pip install --require-hashes -r FOLDER/requirements.txt`: pip then refuses any other file, also one of the
same name and version from an index (https://pip.pypa.io/en/stable/topics/secure-installs/).
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_EXTRAS = ("azblob", "container_apps", "keyvault", "mssql", "otel", "postgres", "servicebus", "signing")
_SETS = {
    "requirements.txt": _EXTRAS,
    "requirements-sandbox.txt": (*_EXTRAS, "sandbox"),
}
_MAIN = "dstream-cli"
_EXPORT = ("export", "--quiet", "--locked", "--no-dev", "--no-emit-workspace", "--no-annotate", "--no-header")


def main(uv: str, folder: Path) -> None:
    for old in folder.glob("dstream_*.whl"):
        old.unlink()
    command = [uv, "build", "--quiet", "--all-packages", "--wheel", "--out-dir", str(folder), str(_ROOT)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    wheels = sorted(folder.glob("dstream_*.whl"))
    built = {name: _built(f"{name}=={version} --hash={digest}", folder) for name, version, digest in _only_sources()}
    for name, extras in _SETS.items():
        chosen = [part for extra in extras for part in ("--extra", extra)]
        others = subprocess.run([uv, *_EXPORT, *chosen], cwd=_ROOT, check=True, capture_output=True, text=True).stdout
        ours = "".join(_pinned(wheel, extras) for wheel in wheels if "sandbox" in extras or "sandbox" not in wheel.name)
        head = f"# pip install --require-hashes -r {name}\n--find-links .\n--only-binary :all:\n"
        (folder / name).write_text(head + ours + _with_built(others, built))


def _only_sources() -> list[tuple[str, str, str]]:
    """Return name, version and digest of the packages in uv.lock without a wheel."""
    packages = tomllib.loads((_ROOT / "uv.lock").read_text())["package"]
    published = [each for each in packages if "registry" in each["source"] and not each.get("wheels")]
    return [(each["name"], each["version"], each["sdist"]["hash"]) for each in published]


def _built(requirement: str, folder: Path) -> Path:
    """Build the wheel of a package from its source, which is checked against the digest."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "requirement.txt").write_text(requirement)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--require-hashes"]
        options = ["--disable-pip-version-check", "--wheel-dir", scratch, "-r", f"{scratch}/requirement.txt"]
        subprocess.run([*command, *options], check=True, stdout=sys.stderr)
        (wheel,) = Path(scratch).glob("*.whl")
        return Path(shutil.copy(wheel, folder))


def _with_built(requirements: str, built: dict[str, Path]) -> str:
    """Replace the digests of sources by those of the wheels built from them."""
    entries = re.findall(r"^\S.*(?:\n +.*)*\n", requirements, re.M)
    return "".join(_pinned(built[name], ()) if (name := each.partition("==")[0]) in built else each for each in entries)


def _pinned(wheel: Path, extras: tuple[str, ...]) -> str:
    distribution, version, *_ = wheel.name.split("-")
    name = distribution.replace("_", "-")
    chosen = f"[{','.join(extras)}]" if name == _MAIN else ""
    return f"{name}{chosen}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).absolute()), Path(sys.argv[2]).absolute())
