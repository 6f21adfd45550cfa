"""Opens sessions, and answers questions that need one for a moment."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dstream.infra.definition import Definition
from dstream.infra.engine.attachments import served
from dstream.infra.engine.cli import find_engine
from dstream.infra.engine.environment import StackLocation, place_of
from dstream.infra.engine.events import Severity
from dstream.infra.engine.runner import Asked, StackContext
from dstream.infra.engine.session import Session
from dstream.protocol.messages import Infrastructure
from dstream.sdk import Stop


@contextmanager
def opened(
    place: StackLocation,
    definition: Definition,
    asked: Asked,
    environ: Mapping[str, str],
    stop: Stop,
    warn: Callable[[Severity, str, str], None],
) -> Iterator[Session]:
    """Find the engine, serve the attached providers, and yield a session. `warn`: severity, message, resource name."""
    engine = find_engine(environ)
    _keep_quiet()
    with served(definition.attached, asked.parallel) as ports:
        yield Session(StackContext(place, definition, asked, engine, ports, environ, stop, warn))


def stack_outputs(infrastructure: Infrastructure, environ: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the stack's outputs by name, secrets in plain text; empty for a stack that does not exist.

    `run` needs them to reach what `init` created. Keep them in memory only. Raises ConfigError `infra.no_engine` and
    `infra.no_passphrase`, and the engine's failures.
    """
    place = place_of(infrastructure, environ)
    if place.is_certainly_empty:
        return {}
    definition = Definition(program=lambda: None, spec={})
    with opened(place, definition, Asked("run"), environ, Stop(), lambda *_: None) as session:
        return session.outputs()


def cancel(place: StackLocation, environ: Mapping[str, str]) -> None:
    """Remove all locks of a stack."""
    definition = Definition(program=lambda: None, spec={})
    with opened(place, definition, Asked("unlock"), environ, Stop(), lambda *_: None) as session:
        session.cancel()


def _keep_quiet() -> None:
    """Silence the SDK's noise on stderr: closed event streams, and leftover tasks of failed programs."""
    warnings.filterwarnings("ignore", module="pulumi")
    before = sys.unraisablehook

    def hook(found: sys.UnraisableHookArgs) -> None:
        code = getattr(found.object, "cr_code", None)
        if code is None or "pulumi" not in code.co_filename:
            before(found)

    sys.unraisablehook = hook
