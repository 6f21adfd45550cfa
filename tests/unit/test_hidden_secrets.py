"""No encoding of a secret gets past the redactor, in any output of a run."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dstream.canonical import canonical, needle
from dstream.errors import ConfigError
from dstream.host.run.report import RunReport
from dstream.protocol.messages import Heartbeat, Log, Metric
from dstream.redact import Redactor, is_secret_name
from tests.conformance.runs import Recorded

Encode = Callable[[str], str]


NAMED = {"+": "plus", "/": "sol", "=": "equals", "&": "amp", "<": "lt", ";": "semi", "é": "eacute"}


def data(text: str) -> bytes:
    return text.encode()


ESCAPES: dict[str, Encode] = {
    "verbatim": str,
    "a URL": lambda text: quote(text, safe=""),
    "a URL's path": quote,
    "a form": quote_plus,
    "a URL in lower case": lambda text: "".join(f"%{byte:02x}" for byte in data(text)),
    "a URL, partly": lambda text: text[:2] + quote(text[2:], safe=""),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with Unicode": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON of .NET": lambda text: "".join(
        f"\\u{ord(char):04X}" if char in "<>&'+\"" else json.dumps(char)[1:-1].replace("\\u", "\\u") for char in text
    ),
    "JSON of PHP": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "Python's repr": lambda text: repr(text)[1:-1],
    "XML": html.escape,
    "XML in numbers": lambda text: "".join(f"&#x{ord(char):X};" for char in text),
    "XML in decimal numbers": lambda text: "".join(f"&#{ord(char):05};" for char in text),
    "HTML": lambda text: "".join(f"&{NAMED[char]};" if char in NAMED else char for char in text),
    "JavaScript": lambda text: "".join(f"\\u{{{ord(char):x}}}" for char in text),
    "bytes in Python": lambda text: "".join(f"\\x{byte:02x}" for byte in data(text)),
    "octal": lambda text: "".join(f"\\{byte:03o}" for byte in data(text)),
    "SQL": lambda text: text.replace("'", "''"),
    "CSV": lambda text: text.replace('"', '""'),
}
PACKED: dict[str, Encode] = {
    "base64": lambda text: base64.b64encode(data(text)).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(data(text)).decode().rstrip("="),
    "Basic credentials": lambda text: base64.b64encode(data(f"reader:{text}")).decode(),
    "base64 inside": lambda text: base64.b64encode(data(f"k={text}&x=1")).decode(),
    "base64 in lines": lambda text: base64.encodebytes(
        data("long enough for two lines of base64, " * 2 + text)
    ).decode(),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "hexadecimal": lambda text: data(text).hex(),
    "hexadecimal in capitals": lambda text: data(text).hex().upper(),
    "hexadecimal in pairs": lambda text: data(text).hex(":"),
    "a dump": lambda text: " ".join(f"0x{byte:02X}" for byte in data(text)),
}

STORED = ("base64", "base64 for URLs", "Basic credentials", "base64 inside", "hexadecimal", "hexadecimal in capitals")
"""Forms in which a secret is also recognized in a state."""

CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]) | st.sampled_from(
    "+/=%&\"'\\<}; "
)
SECRETS = st.builds(
    "{}Zq7{}".format, st.text(CHARACTERS, min_size=3, max_size=20), st.text(CHARACTERS, min_size=3, max_size=20)
)
"""Each is unlike any text of the program itself."""


def outputs(redactor: Redactor, text: str) -> Iterator[str]:
    """Everything that a run shows of a text from a provider."""
    yield redactor.text(f"x {text} y")
    yield json.dumps(redactor.value({text: [text, {"a": text}]}), ensure_ascii=False)
    error = redactor.error(ConfigError("x.y", text, hint=text, details=[text]))
    yield f"{error.message}\n{error.hint}\n{error.details}\n{error}"
    events = Recorded()
    report = RunReport("t", events, redactor)
    report.text("input", text, stream="stderr")
    report.log("error", "run.failed", message=text)
    line = json.dumps({"dstream": "log", "level": "info", "event": text, "field": text, text: 1}).encode()
    report.told("output", Log(level="info", event=text), line)
    report.told("output", Heartbeat(phase="reconnecting", reason=text), b"")
    report.told("output", Metric(name="n", kind="gauge", value=1, labels={"to": text}), b"")
    yield repr([fields for _, _, fields in events.events])
    yield repr(report.condition)
    yield repr(report.metrics)


def shows(output: str, needle: str) -> bool:
    """Whether the text can be read in an output, in which quotes and backslashes may be escaped once more."""
    return any(form in output for form in (needle, json.dumps(needle, ensure_ascii=False)[1:-1], repr(needle)[1:-1]))


@pytest.mark.parametrize("first", ESCAPES)
@settings(max_examples=10)
@given(secret=SECRETS, second=st.sampled_from(sorted(ESCAPES)))
def test_a_secret_is_hidden_however_it_is_escaped_twice(first: str, second: str, secret: str) -> None:
    encoded = ESCAPES[second](ESCAPES[first](secret))
    assume(len(needle(secret).strip()) >= 4)
    for output in outputs(Redactor([secret]), encoded):
        assert not shows(output, encoded)
        assert not shows(output, secret)


@pytest.mark.parametrize("form", PACKED)
@settings(max_examples=10)
@given(secret=SECRETS, escape=st.sampled_from(["verbatim", "JSON of PHP", "a URL"]))
def test_a_secret_is_hidden_in_base64_and_hexadecimal(form: str, escape: str, secret: str) -> None:
    packed = PACKED[form](secret)
    assume("+" not in packed or form in STORED)
    encoded = ESCAPES[escape](packed)
    for output in outputs(Redactor([secret]), encoded):
        assert not shows(output, encoded)


@pytest.mark.parametrize("outer", PACKED)
@settings(max_examples=10)
@given(secret=SECRETS, inner=st.sampled_from(sorted({**PACKED, **ESCAPES})))
def test_a_secret_is_hidden_if_it_is_escaped_or_packed_inside_base64_or_hexadecimal(
    outer: str, inner: str, secret: str
) -> None:
    assume(len(needle(secret).strip()) >= 4)
    encoded = PACKED[outer]({**PACKED, **ESCAPES}[inner](secret))
    assert encoded not in Redactor([secret]).text(f"x {encoded} y")


@given(secret=SECRETS, escape=st.sampled_from(sorted(ESCAPES)), form=st.sampled_from(["", *STORED]))
def test_a_state_with_an_encoded_secret_is_not_stored(secret: str, escape: str, form: str) -> None:
    assume(len(needle(secret).strip()) >= 8)
    encoded = PACKED[form](secret) if form else ESCAPES[escape](secret)
    assert Redactor([secret]).is_in(json.dumps({"position": encoded}).encode())


@given(text=st.text(), secret=st.text("0123456789", min_size=8))
def test_other_text_is_unchanged(text: str, secret: str) -> None:
    assume(not set("=:@") & set(text) and "earer" not in text.lower())
    assume(secret not in canonical(text).text and data(secret).hex() not in text.lower())
    assert Redactor([secret]).text(text) == text


@pytest.mark.parametrize(
    "config",
    [
        {"apikey": "Zq7-key-4Kx"},
        {"APIKEY": "Zq7-key-4Kx"},
        {"headers": {"Authorization": "Bearer Zq7-key-4Kx"}},
        {"headers": {"X-Api-Key": "Zq7-key-4Kx", "Cookie": "session=1"}},
        {"auth": "Bearer Zq7-key-4Kx"},
        {"bearer": "Zq7-key-4Kx"},
        {"accesskey": "Zq7-key-4Kx"},
        {"header": "Bearer Zq7-key-4Kx"},
        {"header": "Basic " + PACKED["base64"]("reader:Zq7-key-4Kx")},
        {"url": "https://host/path?apikey=Zq7-key-4Kx&size=1"},
    ],
    ids=str,
)
def test_the_value_of_a_header_or_key_is_hidden_everywhere(config: dict[str, Any]) -> None:
    redactor = Redactor(configs=[config])
    assert "Zq7" not in json.dumps(redactor.value(config))
    assert "Zq7" not in redactor.text("connecting with Zq7-key-4Kx and Zq7%2Dkey-4Kx")
    assert PACKED["base64"]("reader:Zq7-key-4Kx") not in redactor.text(PACKED["base64"]("reader:Zq7-key-4Kx"))


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer Zq7.unknown",
        '{"authorization": "Basic Zq7dW5rbm93bg=="}',
        "sent bearer Zq7eyJhbGciOiJIUzI1NiJ9 to host",
        "X-Api-Key: Zq7unknown",
        "GET /rows?api_key=Zq7unknown&size=1",
        "access_token=Zq7unknown",
        "GET /rows?token=Zq7unknown&size=1",
        "client_secret=Zq7unknown",
        "id_token=Zq7unknown",
        '{"client_secret": "Zq7 \\" unknown", "a": 1}',
        "{'refresh_token': 'Zq7unknown'}",
        "SharedAccessSignature sr=sb%3a%2f%2fx&sig=Zq7%2bunknown%3d&se=1&skn=Root",
        "x-functions-key: Zq7unknown",
        "Cookie: session=Zq7unknown",
        "-----BEGIN RSA PRIVATE KEY-----\nZq7EvQIBADAN\nZq7kqhki\n-----END RSA PRIVATE KEY-----",
        "key = '-----BEGIN PRIVATE KEY-----\\nZq7EvQIBADAN\\n-----END PRIVATE KEY-----'",
        "-----BEGIN PRIVATE KEY-----\nZq7EvQIBADAN",
        "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.Zq7KxwRJSMeKKF2QT4",
    ],
)
def test_header_values_are_hidden_although_nobody_marked_them(text: str) -> None:
    assert "Zq7" not in Redactor().text(text)


@pytest.mark.parametrize("name", ["auth_mode", "auth_type", "authorization_rules", "authorizationEndpoint", "author"])
def test_settings_about_authorization_are_not_secret(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "Bearer authentication failed",
        "password: must not be empty",
        'the token "x" is unknown',
        "continued at 00000027000001f40003, 2026-11-30 07:45:10",
        "deadbeefdeadbeefdeadbeef in /usr/lib/python3/dist-packages/azure_servicebus",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    ],
)
def test_ordinary_text_is_not_taken_for_a_secret(text: str) -> None:
    assert Redactor(["Zq7-key-4Kx"]).text(text) == text


def test_the_name_of_a_scheme_is_not_hidden_elsewhere() -> None:
    assert Redactor(configs=[{"auth": "basic"}]).text("uses basic encryption") == "uses basic encryption"
