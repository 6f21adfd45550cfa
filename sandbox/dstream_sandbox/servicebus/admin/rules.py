"""Rules of subscriptions in XML: filters, actions, and their typed values.

Format: REST reference "Rule Description"; the prefixes are those that @azure/service-bus expects literally.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from dstream_sandbox.servicebus.admin.durations import format_duration, format_moment, parse_duration, parse_moment
from dstream_sandbox.servicebus.admin.names import SB, XSD, XSI
from dstream_sandbox.servicebus.broker.descriptions import (
    CorrelationFilter,
    FalseFilter,
    Filter,
    RuleDescription,
    SqlAction,
    SqlFilter,
    TrueFilter,
)
from dstream_sandbox.servicebus.broker.errors import EntityInvalid

__all__ = ["read_rule", "write_rule"]

_CORRELATION = {
    "CorrelationId": "correlation_id",
    "MessageId": "message_id",
    "To": "to",
    "ReplyTo": "reply_to",
    "Label": "label",
    "SessionId": "session_id",
    "ReplyToSessionId": "reply_to_session_id",
    "ContentType": "content_type",
}
_INT32 = range(-(2**31), 2**31)


def read_rule(element: Element, name: str | None = None) -> RuleDescription:
    """Return the rule in an element. `name`, from the address, overrides the element's. Raises EntityInvalid."""
    found = element.find(f"{{{SB}}}Filter")
    action = element.find(f"{{{SB}}}Action")
    return RuleDescription(
        name or _text(element, "Name") or "$Default",
        TrueFilter() if found is None else _read_filter(found),
        None if action is None else _read_action(action),
    )


def write_rule(rule: RuleDescription) -> str:
    """The children of a RuleDescription element."""
    return (
        f"{_write_filter(rule.filter)}{_write_action(rule.action)}"
        f"<CreatedAt>{format_moment(rule.created_at)}</CreatedAt><Name>{escape(rule.name)}</Name>"
    )


def _read_filter(element: Element) -> Filter:
    kind = _type(element)
    if kind == "TrueFilter":
        return TrueFilter()
    if kind == "FalseFilter":
        return FalseFilter()
    if kind == "SqlFilter":
        return SqlFilter(_text(element, "SqlExpression") or "", _read_values(element.find(f"{{{SB}}}Parameters")))
    if kind == "CorrelationFilter":
        named = {attribute: _text(element, tag) for tag, attribute in _CORRELATION.items()}
        return CorrelationFilter(**named, properties=_read_values(element.find(f"{{{SB}}}Properties")))
    raise EntityInvalid(f"SubCode=40000. The sandbox does not support the filter '{kind}'.")


def _read_action(element: Element) -> SqlAction | None:
    kind = _type(element)
    if kind == "EmptyRuleAction":
        return None
    if kind == "SqlRuleAction":
        return SqlAction(_text(element, "SqlExpression") or "", _read_values(element.find(f"{{{SB}}}Parameters")))
    raise EntityInvalid(f"SubCode=40000. The sandbox does not support the action '{kind}'.")


def _write_filter(rule_filter: Filter) -> str:
    kind = type(rule_filter).__name__
    if isinstance(rule_filter, CorrelationFilter):
        values = "".join(
            f"<{tag}>{escape(value)}</{tag}>"
            for tag, attribute in _CORRELATION.items()
            if (value := getattr(rule_filter, attribute)) is not None
        )
        return f'<Filter i:type="{kind}">{values}{_write_values("Properties", rule_filter.properties)}</Filter>'
    if isinstance(rule_filter, SqlFilter):
        return f'<Filter i:type="{kind}">{_write_sql(rule_filter.expression, rule_filter.parameters)}</Filter>'
    expression = "1=1" if isinstance(rule_filter, TrueFilter) else "1=0"
    return f'<Filter i:type="{kind}">{_write_sql(expression, {})}</Filter>'


def _write_action(action: SqlAction | None) -> str:
    if action is None:
        return '<Action i:type="EmptyRuleAction" />'
    return f'<Action i:type="SqlRuleAction">{_write_sql(action.expression, action.parameters)}</Action>'


def _write_sql(expression: str, parameters: Mapping[str, object]) -> str:
    return (
        f"<SqlExpression>{escape(expression)}</SqlExpression><CompatibilityLevel>20</CompatibilityLevel>"
        f"{_write_values('Parameters', parameters)}"
    )


def _read_values(element: Element | None) -> dict[str, object]:
    values: dict[str, object] = {}
    for pair in () if element is None else element.iterfind(f"{{{SB}}}KeyValueOfstringanyType"):
        value = pair.find(f"{{{SB}}}Value")
        if value is not None:
            values[_text(pair, "Key") or ""] = _read_value(value)
    return values


def _read_value(element: Element) -> object:
    kind, text = _type(element), element.text or ""
    try:
        if kind in ("int", "long", "short", "byte", "unsignedInt", "unsignedShort", "unsignedByte", "unsignedLong"):
            return int(text)
        if kind in ("double", "float", "decimal"):
            return float(text)
        if kind == "boolean":
            return {"true": True, "false": False}[text.strip().lower()]
        if kind == "dateTime":
            return datetime.fromtimestamp(parse_moment(text), UTC)
        if kind == "duration":
            return timedelta(seconds=parse_duration(text))
    except (ValueError, KeyError) as exc:
        raise EntityInvalid(f"SubCode=40000. '{text}' is not a valid {kind}.") from exc
    if kind in ("string", "guid", "char"):
        return text
    raise EntityInvalid(f"SubCode=40000. Values of type '{kind}' are not supported in rules.")


def _write_values(tag: str, values: Mapping[str, object]) -> str:
    if not values:
        return ""
    pairs = "".join(
        f"<KeyValueOfstringanyType><Key>{escape(key)}</Key>"
        f'<Value xmlns:d6p1="{XSD}" i:type="d6p1:{kind}">{escape(text)}</Value></KeyValueOfstringanyType>'
        for key, (kind, text) in ((key, _typed(value)) for key, value in values.items())
    )
    return f"<{tag}>{pairs}</{tag}>"


def _typed(value: object) -> tuple[str, str]:
    if isinstance(value, bool):
        return "boolean", str(value).lower()
    if isinstance(value, int):
        return ("int" if value in _INT32 else "long"), str(int(value))
    if isinstance(value, float):
        return "double", repr(float(value))
    if isinstance(value, datetime):
        return "dateTime", format_moment(value.timestamp())
    if isinstance(value, timedelta):
        return "duration", format_duration(value.total_seconds())
    return "string", str(value)


def _type(element: Element) -> str:
    return (element.get(f"{{{XSI}}}type") or "").rpartition(":")[2]


def _text(element: Element, tag: str) -> str | None:
    return element.findtext(f"{{{SB}}}{tag}")
