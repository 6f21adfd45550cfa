"""The outputs of a stack with the secret ones in clear, for `run`: what `init` made says how to reach it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dstream.protocol.messages import Infrastructure


def stack_outputs(infrastructure: Infrastructure, environ: Mapping[str, str]) -> Mapping[str, Any]:
    """By name; none for a stack that was never made. To be held in memory only.

    Raises ConfigError `infra.no_engine`, `infra.no_passphrase`, and whatever the engine meets.
    """
    from dstream.infra.definition import Definition
    from dstream.infra.engine.environment import place_of
    from dstream.infra.engine.session import Asked, opened
    from dstream.sdk import Stop

    place = place_of(infrastructure, environ)
    if place.is_certainly_empty:
        return {}
    definition = Definition(program=lambda: None, spec={})
    with opened(place, definition, Asked("run"), environ, Stop(), lambda *_: None) as session:
        return session.outputs()
