"""Where a task's infrastructure is recorded, and the engine's environment variables. Starts no process."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from dstream.errors import ConfigError
from dstream.infra.engine.cli import home_of
from dstream.private_files import make_private_folder, read_secret

if TYPE_CHECKING:
    from dstream.protocol.messages import Infrastructure

_FILE = "file://"
_BACKENDS = (_FILE, "azblob://", "s3://", "gs://", "postgres://", "https://", "http://")
"""The engine takes any other URL for an address of Pulumi Cloud."""
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
_LOOKS_HASHED = re.compile(r".*-[0-9a-f]{8}")
_PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"
_PASSPHRASE_FILE = "PULUMI_CONFIG_PASSPHRASE_FILE"
_CREDENTIALS = "PULUMI_CREDENTIALS_PATH"
"""The folder of `credentials.json` (pulumi/sdk/go/common/workspace/creds.go)."""


@dataclass(frozen=True, slots=True)
class StackLocation:
    """One stack of one task in one backend."""

    project: str
    stack: str
    work_dir: Path
    backend_url: str
    secrets_provider: str | None = None
    is_chosen: bool = False
    """Whether the user chose the backend, by `backend_url` or PULUMI_BACKEND_URL."""

    @property
    def is_cloud(self) -> bool:
        """Whether this is Pulumi Cloud, which has organizations and keeps secrets itself."""
        return self.backend_url.startswith(("http://", "https://"))

    @property
    def folder(self) -> Path | None:
        """The folder, if this is a file backend."""
        return Path(unquote(urlsplit(self.backend_url).path)) if self.backend_url.startswith(_FILE) else None

    @property
    def record_file(self) -> Path | None:
        """The file of the stack's record, in a file backend."""
        if self.folder is None:
            return None
        return self.folder / ".pulumi" / "stacks" / self.project / f"{self.stack}.json"

    @property
    def settings_file(self) -> Path:
        """The stack's settings for the engine; exists as long as the stack does."""
        return self.work_dir / f"Pulumi.{self.stack.rpartition('/')[2]}.yaml"

    @property
    def full_name(self) -> str:
        """The name that tells the stack from those of other projects; other backends have no organizations."""
        organization, _, name = self.stack.rpartition("/")
        return f"{organization or 'organization'}/{self.project}/{name}"

    @property
    def passphrase_file(self) -> Path | None:
        """Where DStream keeps the passphrase of the records, in a file backend."""
        return self.folder / ".pulumi" / "dstream-passphrase" if self.folder else None

    @property
    def is_new_backend(self) -> bool:
        """Whether this is a file backend without any records, of any project."""
        return self.folder is not None and not (self.folder / ".pulumi").exists()

    @property
    def is_certainly_empty(self) -> bool:
        """Whether this is a file backend without this stack; only the engine can query other backends."""
        record = self.record_file
        return record is not None and not record.exists() and not record.with_name(f"{record.name}.gz").exists()

    @property
    def lock_folder(self) -> Path | None:
        """The folder of the stack's locks, in a file backend (pulumi/pkg/backend/diy/lock.go)."""
        if self.folder is None:
            return None
        return self.folder / ".pulumi" / "locks" / "organization" / self.project / self.stack


def place_of(infrastructure: Infrastructure, environ: Mapping[str, str]) -> StackLocation:
    """Return where the task's stack is recorded.

    Raises ConfigError `infra.no_work_dir`, `infra.unknown_backend`, `infra.no_organizations`.
    """
    if not infrastructure.work_dir:
        raise ConfigError(
            "infra.no_work_dir",
            "the command does not specify where the infrastructure is recorded",
            hint="Set `infrastructure.work_dir` on line 1.",
        )
    work_dir = Path(infrastructure.work_dir)
    project = project_name(infrastructure.task or "task")
    url = infrastructure.backend_url or environ.get("PULUMI_BACKEND_URL") or ""
    backend_url = _absolute(url, work_dir) if url else (work_dir.parent.parent).as_uri()
    if not backend_url.startswith(_BACKENDS):
        raise ConfigError(
            "infra.unknown_backend",
            f'unknown backend "{backend_url}"',
            hint=f"Use a URL that starts with {', '.join(_BACKENDS[:-2])} or https:// (Pulumi Cloud).",
        )
    stack = infrastructure.stack or "dev"
    place = StackLocation(project, stack, work_dir, backend_url, infrastructure.secrets_provider, is_chosen=bool(url))
    if "/" in stack and not place.is_cloud:
        raise ConfigError(
            "infra.no_organizations",
            f'stack "{stack}" names an organization, but the record is in {backend_url}',
            hint=f'Set backend_url = "https://api.pulumi.com", or stack = "{stack.rpartition("/")[2]}".',
        )
    return place


def project_name(task: str) -> str:
    """Return a valid Pulumi project name unique to the task; a changed name gets a hash of the original."""
    if _SAFE_NAME.fullmatch(task) and not _LOOKS_HASHED.fullmatch(task):
        return task
    readable = re.sub(r"[^A-Za-z0-9_.]+", "-", task).strip("-.")[:60] or "task"
    return f"{readable}-{hashlib.sha256(task.encode()).hexdigest()[:8]}"


def engine_environment(
    place: StackLocation,
    environ: Mapping[str, str],
    *,
    attached: Mapping[str, int],
    plugins: Collection[str],
    opens_record: bool = True,
) -> dict[str, str]:
    """Return the variables set for the engine only. `attached`: ports of the providers that this process serves;
    `opens_record`: False for calls that don't read a record and so need no passphrase.

    Raises ConfigError `infra.no_passphrase`, `infra.passphrase_lost`.
    """
    debugged = [each for each in environ.get("PULUMI_DEBUG_PROVIDERS", "").split(",") if ":" in each]
    names = {each.partition(":")[0] for each in debugged} | set(attached)
    own = [f"{name}:{port}" for name, port in attached.items()]
    kept = [each for each in debugged if each.partition(":")[0] not in attached]
    result = {
        "PULUMI_HOME": environ.get("PULUMI_HOME") or str(home_of(environ) / ".dstream" / "pulumi" / "home"),
        "PULUMI_BACKEND_URL": place.backend_url,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        **(_credentials(environ) if place.is_cloud else {}),
        **(_passphrase(place, environ) if opens_record else {}),
    }
    if own or kept:
        result["PULUMI_DEBUG_PROVIDERS"] = ",".join(kept + own)
    if (set(plugins) <= names and names) or environ.get("DSTREAM_PLUGIN_CHECKSUMS"):
        result["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    return result


def uses_update_plans(environ: Mapping[str, str]) -> bool:
    """Return whether updates are constrained by the engine's update plans: yes, unless DSTREAM_UPDATE_PLANS is off.

    Raises ConfigError `infra.bad_update_plans` for another value.
    """
    value = environ.get("DSTREAM_UPDATE_PLANS") or "on"
    if value not in ("on", "off"):
        raise ConfigError(
            "infra.bad_update_plans", f'DSTREAM_UPDATE_PLANS is "{value}"', hint="Set it to on (the default) or off."
        )
    return value == "on"


def _absolute(url: str, work_dir: Path) -> str:
    """Make a `file://` URL absolute: the engine runs in a different folder."""
    if not url.startswith(_FILE):
        return url
    path = url.removeprefix(_FILE)
    if path.startswith("~"):
        return Path(path).expanduser().as_uri()
    if path.startswith("/"):
        return url
    return Path(os.path.normpath(Path.cwd() / path)).as_uri()


def _credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """Let the engine find an existing `pulumi login`, although it has its own home.

    With PULUMI_ACCESS_TOKEN, it would store that token there (pulumi/pkg/backend/httpstate, Login).
    """
    folder = home_of(environ) / ".pulumi"
    if any(environ.get(name) for name in ("PULUMI_HOME", "PULUMI_ACCESS_TOKEN", _CREDENTIALS)):
        return {}
    return {_CREDENTIALS: str(folder)} if (folder / "credentials.json").exists() else {}


def _passphrase(place: StackLocation, environ: Mapping[str, str]) -> dict[str, str]:
    if environ.get(_PASSPHRASE):
        return {_PASSPHRASE: environ[_PASSPHRASE]}
    if environ.get(_PASSPHRASE_FILE):
        return {_PASSPHRASE_FILE: environ[_PASSPHRASE_FILE]}
    if place.secrets_provider and place.secrets_provider != "passphrase":
        return {}
    file = place.passphrase_file
    if file is None:
        if place.is_cloud:
            return {}
        raise ConfigError(
            "infra.no_passphrase",
            f"no passphrase to encrypt the record in {place.backend_url}",
            hint=f"Set {_PASSPHRASE} or {_PASSPHRASE_FILE}, or `secrets_provider` in the infrastructure block.",
        )
    if not os.path.lexists(file):
        _create(file, place)
    try:
        passphrase = read_secret(file).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            "infra.passphrase_unsafe",
            f"the passphrase file {file} is not used: {reason}",
            hint=f"DStream creates it with mode 0600. If you do not know where it comes from, do not use this folder. "
            f"{_PASSPHRASE} takes precedence over the file.",
        ) from error
    if not passphrase:
        raise ConfigError(
            "infra.passphrase_lost",
            f"{file} is empty",
            hint="Restore the file, or delete it if no record in this backend is encrypted with it.",
        )
    return {_PASSPHRASE: passphrase}


def _create(file: Path, place: StackLocation) -> None:
    """Create a random passphrase next to the record, readable by the owner; concurrent callers get the same one."""
    if not place.is_certainly_empty:
        raise ConfigError(
            "infra.passphrase_lost",
            f"{file} is missing, and the record of {place.project} is encrypted with it",
            hint=f"Restore the file, or set {_PASSPHRASE} if the record uses your own passphrase.",
        )
    make_private_folder(file.parent)
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_urlsafe(32))
            stream.flush()
            os.fsync(stream.fileno())  # a record that outlives its passphrase cannot be read
        os.link(fresh, file)
    except FileExistsError:
        pass  # use the one that another command has just created
    finally:
        fresh.unlink()
