"""Parses references such as `ghcr.io/org/tides:v1`.

The grammar is that of https://github.com/distribution/reference (reference.go), with two differences: the registry is
required, and so is a tag or a digest. Docker fills in `docker.io` and `latest`; a provider should not change unnoticed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dstream.errors import ConfigError
from dstream.loopback import is_loopback

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REGISTRY = r"(?P<registry>(?=[^/]*[.:]|localhost/)[a-zA-Z0-9][a-zA-Z0-9.-]*(?::[0-9]+)?)"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"{_REGISTRY}/(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)"
    rf"(?::(?P<tag>[a-zA-Z0-9_][a-zA-Z0-9_.-]{{0,127}}))?(?:@(?P<digest>{DIGEST.pattern}))?"
)
_MOST_CHARACTERS = 512


@dataclass(frozen=True, slots=True)
class Reference:
    """An artifact in a registry. `tag` and `digest` are empty if not given; at least one is."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.registry_and_repository}{self.tag and f':{self.tag}'}{self.digest and f'@{self.digest}'}"

    @property
    def registry_and_repository(self) -> str:
        return f"{self.registry}/{self.repository}"

    @property
    def name(self) -> str:
        """The last part of the repository."""
        return self.repository.rpartition("/")[2]

    @property
    def version(self) -> str:
        """The tag; for a reference by digest alone, the digest without a colon."""
        return self.tag or self.digest.replace(":", "-")

    @property
    def is_on_loopback(self) -> bool:
        return is_loopback(self.registry.partition(":")[0])


def is_reference(text: str) -> bool:
    """Whether the text is a complete reference; a path can look the same."""
    match = _match(text)
    return match is not None and bool(match["tag"] or match["digest"])


def parse_reference(text: str) -> Reference:
    """Return the reference. Raises ConfigError `registry.bad_reference`."""
    match = _match(text)
    if match is None:
        raise ConfigError("registry.bad_reference", f'invalid reference "{text}"', hint=_FORM)
    if match["tag"] is None and match["digest"] is None:
        raise ConfigError("registry.bad_reference", f'the reference "{text}" has no tag', hint=_FORM)
    return Reference(match["registry"], match["repository"], match["tag"] or "", match["digest"] or "")


def _match(text: str) -> re.Match[str] | None:
    return _REFERENCE.fullmatch(text) if len(text) <= _MOST_CHARACTERS else None


_FORM = "Use REGISTRY/REPOSITORY:TAG, e.g. ghcr.io/org/tides:v1."
