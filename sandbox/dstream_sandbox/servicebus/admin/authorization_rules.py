"""Shared access rules of an entity, in the XML of its description."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from typing import cast
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from dstream_sandbox.servicebus.admin.durations import format_moment, parse_moment
from dstream_sandbox.servicebus.admin.names import SB
from dstream_sandbox.servicebus.broker.descriptions import AuthorizationRule
from dstream_sandbox.servicebus.broker.errors import EntityInvalid

__all__ = ["read_authorization_rules", "write_authorization_rules"]


def read_authorization_rules(element: Element) -> tuple[AuthorizationRule, ...]:
    """Return the rules in a description. Raises EntityInvalid."""
    return tuple(_read(rule) for rule in element.findall(f"{{{SB}}}AuthorizationRule"))


def write_authorization_rules(rules: object) -> str:
    written = "".join(_write(rule) for rule in cast("Iterable[AuthorizationRule]", rules))
    return f"<AuthorizationRules>{written}</AuthorizationRules>" if written else "<AuthorizationRules />"


def _read(element: Element) -> AuthorizationRule:
    def text(tag: str) -> str:
        return (element.findtext(f"{{{SB}}}{tag}") or "").strip()

    rights = tuple((right.text or "").strip() for right in element.iterfind(f"{{{SB}}}Rights/{{{SB}}}AccessRights"))
    if not text("KeyName") or not rights or not set(rights) <= {"Send", "Listen", "Manage"}:
        raise EntityInvalid("SubCode=40000. An authorization rule needs a key name and rights of Send, Listen, Manage.")
    return AuthorizationRule(
        key_name=text("KeyName"),
        rights=rights,
        primary_key=text("PrimaryKey") or _new_key(),
        secondary_key=text("SecondaryKey") or _new_key(),
        claim_type=text("ClaimType") or "SharedAccessKey",
        claim_value=text("ClaimValue") or "None",
        created_at=parse_moment(text("CreatedTime")) if text("CreatedTime") else 0.0,
        modified_at=parse_moment(text("ModifiedTime")) if text("ModifiedTime") else 0.0,
    )


def _write(rule: AuthorizationRule) -> str:
    rights = "".join(f"<AccessRights>{right}</AccessRights>" for right in rule.rights)
    return (
        '<AuthorizationRule i:type="SharedAccessAuthorizationRule">'
        f"<ClaimType>{escape(rule.claim_type)}</ClaimType><ClaimValue>{escape(rule.claim_value)}</ClaimValue>"
        f"<Rights>{rights}</Rights>"
        f"<CreatedTime>{format_moment(rule.created_at)}</CreatedTime>"
        f"<ModifiedTime>{format_moment(rule.modified_at)}</ModifiedTime>"
        f"<KeyName>{escape(rule.key_name)}</KeyName>"
        f"<PrimaryKey>{escape(rule.primary_key)}</PrimaryKey><SecondaryKey>{escape(rule.secondary_key)}</SecondaryKey>"
        "</AuthorizationRule>"
    )


def _new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()
