"""Tells this machine's own addresses from others, for providers that require encryption beyond the machine."""

from dstream.loopback import is_loopback

__all__ = ["is_loopback"]
