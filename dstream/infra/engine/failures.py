"""From what the engine says went wrong to an error for people. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from dstream.errors import (
    AuthError,
    ConfigError,
    DStreamError,
    RefusedError,
    SystemFault,
    UnreachableError,
)
from dstream.infra.engine.events import EngineProblem
from dstream.infra.plan.step import Step

_LONGEST = 600

_PROTECTED = re.compile(r"(?i)\bprotected\b|protect flag|marked for protection")
_IMPORT_DIFFERS = re.compile(r"previously-imported resources that still specify an ID may not be replaced")
_OFF_PLAN = re.compile(r"violates plan|not allowed by the plan|was expected by the plan|expected .* by the plan")
_PASSPHRASE = re.compile(r"(?i)incorrect passphrase|passphrase must be set|message authentication failed")
_NO_PLUGIN = re.compile(
    r"(?i)no resource plugin|could not (?:load|find) plugin|plugin .* not found|failed to load plugin"
)
_NOT_AUTHORISED = re.compile(
    r"(?i)\b(?:status(?: ?code)?[:=]? ?|http )?40[13]\b|AuthorizationFailed|AuthenticationFailed"
    r"|InvalidAuthenticationToken|LinkedAuthorizationFailed"
    r"|\b(?:un|not )authori[sz]ed\b|\bforbidden\b|does not have authorization|AADSTS\d+|az login"
    r"|ExpiredToken|InvalidSubscriptionId|SubscriptionNotFound|DefaultAzureCredential"
)
_QUOTA = re.compile(r"QuotaExceeded|exceeding approved quota")
"""Azure answers 403 to it, as to a missing right."""
_EXISTS = re.compile(r"(?i)already exist")
_UNREACHABLE = re.compile(
    r"(?i)connection refused|no such host|network is unreachable|i/o timeout|name resolution|failed to connect"
    r"|Name or service not known|connection reset|timed out connecting|endpoint is unreachable"
)
_CONFIG = re.compile(
    r"Code=\"?(?:BadRequest|InvalidParameter\w*|InvalidTemplate|InvalidResourceName|LocationNotAvailableForResourceType"
    r"|InvalidResourceLocation|MissingRegistrationForLocation|NamespaceUnavailable|NameNotAvailable)\b"
)
_STDERR_ERROR = re.compile(r"(?m)^error: (.+(?:\n(?!error:).+)*)")


def failure(
    stderr: str, problems: Sequence[EngineProblem], config_path_of: Callable[[str, str], str] = lambda *_: ""
) -> DStreamError:
    """Return the first cause as an error. `stderr` is the engine's; `config_path_of` is the definition's."""
    causes = [each for each in problems if each.severity == "error" and not _says_nothing(each.message)]
    if not causes:
        said = [one_line(match) for match in _STDERR_ERROR.findall(stderr)]
        text = said[0] if said else one_line(stderr) or "the engine failed and gave no reason"
        causes = [EngineProblem("error", text)]
    first = causes[0]
    text = one_line(first.message)
    message = f"{first.name}: {text}" if first.name else text
    if len(causes) > 1:
        others = ", ".join(dict.fromkeys(each.name for each in causes[1:] if each.name and each.name != first.name))
        message += f" (failed as well: {others})" if others else ""
    error = _of(text, message, first)
    if first.name:
        error.config_path = config_path_of(first.type, first.name)
    return error


def one_line(text: str) -> str:
    """The provider's own words without line breaks, and not without end."""
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 2] + ".."


def interrupted(command: str, done: Sequence[Step], unfinished: Sequence[Step], *, signal: int = 0) -> SystemFault:
    """The engine came to an end before its work did."""
    why = f"the engine was killed (signal {signal})" if signal else f"{command} was interrupted"
    parts = [why]
    if done:
        parts.append(f"done before: {_names(done)}")
    if unfinished:
        parts.append(f"under way, and perhaps half done: {_names(unfinished)}")
    if not done and not unfinished:
        parts.append("nothing was changed")
    hint = f"`dstream {command}` again finishes it." if command in ("init", "destroy") else ""
    return SystemFault("infra.interrupted", "; ".join(parts), hint=hint)


def _of(text: str, message: str, cause: EngineProblem) -> DStreamError:
    if _PROTECTED.search(text) and re.search(r"(?i)delet|replac", text):
        who = cause.name or "a resource"
        return RefusedError(
            "infra.protected",
            f"{who} is protected, and can't be deleted or replaced",
            hint="Take `protect` off it and run `dstream init`; then it can go.",
        )
    if _IMPORT_DIFFERS.search(text):
        return ConfigError(
            "infra.import_differs",
            f"{cause.name or 'what is to be taken over'} exists with other settings, which can't be changed in place",
            hint="Nothing was changed. Write the settings for which the plan would replace it as they are.",
        )
    if _OFF_PLAN.search(text):
        return RefusedError(
            "infra.stale_plan", f"something changed after it was looked at: {message}", hint="Run `dstream plan` again."
        )
    if _PASSPHRASE.search(text):
        return ConfigError(
            "infra.passphrase",
            "the record is encrypted with another passphrase",
            hint="PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE must be what it was when it was made.",
        )
    if _NO_PLUGIN.search(text):
        return SystemFault("infra.no_plugin", message, hint="It needs network once, or the plugin in PULUMI_HOME.")
    if _NOT_AUTHORISED.search(text) and not _QUOTA.search(text):
        return AuthError("infra.not_authorised", message)
    if _EXISTS.search(text):
        return ConfigError(
            "infra.exists",
            message,
            hint="It was made by somebody else: --import takes it over, another name leaves it alone.",
        )
    if _UNREACHABLE.search(text):
        return UnreachableError("infra.unreachable", message)
    if _CONFIG.search(text):
        return ConfigError("infra.not_accepted", message)
    return SystemFault("infra.failed", message, hint="What was done is recorded; the same command again goes on.")


def _says_nothing(message: str) -> bool:
    """What the engine adds about the whole once a step has failed."""
    return message in ("update failed", "destroy failed", "preview failed", "refresh failed", "")


def _names(steps: Sequence[Step]) -> str:
    return ", ".join(dict.fromkeys(each.name for each in steps))
