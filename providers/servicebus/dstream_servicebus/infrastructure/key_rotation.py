"""Notices that the key in the recorded connection string was regenerated in Azure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from dstream.infra import RunProgram

OUTPUT = "connection_string"
_PART = re.compile(r"(?:^|;)(SharedAccessKeyName|EntityPath)=([^;]*)", re.IGNORECASE)


def regenerated(ids: Collection[str], namespace: str, outputs: Mapping[str, Any], run: RunProgram) -> Collection[str]:
    """Return the output's name if its key is no longer the rule's primary key. `ids`: of the recorded resources.

    Listing keys takes the permission `listKeys/action`, which the role Reader lacks: raises the engine's failure then.
    """
    recorded = outputs.get(OUTPUT)
    rule = _rule_of(recorded, ids, namespace) if recorded else None
    if rule is None:
        return ()  # not recorded yet, or no longer
    from dstream_stacks.azure_lookup import connection_string_of  # takes 0.04 s of CPU time

    current = run(partial(connection_string_of, rule))
    return () if current in (None, recorded) else (OUTPUT,)  # None: the plan re-creates the rule, with a new key


def _rule_of(connection_string: str, ids: Collection[str], namespace: str) -> str | None:
    """Find the id of the rule. A rule of the namespace has no EntityPath."""
    parts = {name.lower(): value for name, value in _PART.findall(connection_string)}
    owner = parts.get("entitypath") or namespace
    end = f"/{owner}/authorizationRules/{parts.get('sharedaccesskeyname', '')}".lower()
    return next((each for each in ids if each.lower().endswith(end)), None)
