"""Refuses to send checkpoints and credentials where others can read or redirect them, unless the stack allows it."""

from __future__ import annotations

from dstream.errors import ConfigError


def check_transport(place: str, because: str, fix: str, *, allow_plaintext: bool) -> None:
    """Raise ConfigError `state.plaintext` unless the connection is protected or the stack allows plaintext.

    `because`: why it is not protected; "" if it is. `fix`: the first sentence of the hint.
    """
    if because and not allow_plaintext:
        raise ConfigError(
            "state.plaintext",
            f"the connection to {place} can be read or redirected in transit: {because}",
            hint=f"{fix} To accept the risk, set allow_plaintext = true in the state block.",
        )
