"""`--var-file`: values for variables, written as `name = value` like Terraform's .tfvars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

from dstream.config.blocks.body_reader import BodyReader
from dstream.config.blocks.complaints import Complaints
from dstream.config.files import parsed
from dstream.config.untrusted import budget
from dstream.config.values.environment import Environment, utc_now
from dstream.config.values.functions import functions
from dstream.config.values.key_vault_secret import NoKeyVault
from dstream.config.values.scope import Scope
from dstream.config.values.values import Value
from dstream.errors import ConfigError, SourceLocation
from dstream.key_vault.secret import KeyVaultSecret


class _NoKeyVaultHere(NoKeyVault):
    """Refuses to read vaults: whether to read one depends on which task needs the value, which is unknown here."""

    def read(self, secret: KeyVaultSecret) -> str:
        raise ConfigError(
            "config.call",
            "a variables file cannot read a key vault",
            hint='Use secret("azurekeyvault://...") in the HCL file.',
        )


def load_variables(
    path: Path, *, environ: Mapping[str, str], is_untrusted: bool = False, now: Callable[[], datetime] = utc_now
) -> dict[str, Value]:
    """Return the values in the file, for `load(variables=...)`. Raises ConfigErrors; RefusedError as `load`."""
    with budget(path) if is_untrusted else nullcontext():
        return _values(path, environ, is_untrusted, now)


def _values(
    path: Path, environ: Mapping[str, str], is_untrusted: bool, now: Callable[[], datetime]
) -> dict[str, Value]:
    complaints = Complaints()
    values: dict[str, Value] = {}
    with complaints.collecting():
        if not path.exists():
            place = SourceLocation(str(path))
            raise ConfigError(
                "config.file", f"{path} not found", place=place, hint="Check the path given with --var-file."
            )
        around = Environment(environ, path.parent.absolute(), now, _NoKeyVaultHere(), is_untrusted)
        source, body = parsed(path, around)
        reader = BodyReader(source, body, "", Scope(functions(around)), complaints)
        reader.check({attribute.name for attribute in body.attributes}, ())
        for attribute in body.attributes:
            with complaints.collecting():
                values[attribute.name] = reader.evaluate(attribute)
    complaints.raise_if_any()
    return values
