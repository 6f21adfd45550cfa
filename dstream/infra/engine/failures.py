"""Turns the engine's failures into DStream errors. Pure."""

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
from dstream.infra.engine.events import EngineProblem, FailedCreation
from dstream.infra.plan.step import Step

_LONGEST = 600
_CHANGING = ("init", "destroy")

_PROTECTED = re.compile(r"(?i)\bprotected\b|protect flag|marked for protection")
_IMPORT_DIFFERS = re.compile(r"previously-imported resources that still specify an ID may not be replaced")
_UNKNOWN_VALUE = "=> output<"
_OFF_PLAN = re.compile(r"violates plan|not allowed by the plan|was expected by the plan|expected .* by the plan")
_NOT_REACHED = re.compile(r"expected resource operations for .* but none were seen")
"""A planned step that another step's failure prevented."""
_PASSPHRASE = re.compile(r"(?i)incorrect passphrase|passphrase must be set|message authentication failed")
_NO_PLUGIN = re.compile(
    r"(?i)no resource plugin|could not (?:load|find) plugin|plugin .* not found|failed to load plugin"
    r"|\bdownloading from\b.*failed all \d+ attempts|could not find latest version for provider"
)
_NOT_SERVED = re.compile(r"(?:resource\) plugin )\[(?P<name>[^\]]+)\] did not (?:begin responding|come alive)")
"""pulumi/sdk/go/common/resource/plugin/plugin.go"""
_NEEDS_TARGET = re.compile(
    r"Resource '\S+::(?P<dependent>[^']+)' (?:will be destroyed but was not specified"
    r"|depends on '\S+::(?P<dependency>[^']+)' which was)"
)
"""pulumi/sdk/go/common/diag/errors.go, 2013 and 2014"""
_NO_LOGIN = re.compile(r"PULUMI_ACCESS_TOKEN must be set")
_NOT_AUTHORISED = re.compile(
    r"(?i)\b(?:status(?: ?code)?[:=]? ?|http )?40[13]\b|AuthorizationFailed|AuthenticationFailed"
    r"|InvalidAuthenticationToken|LinkedAuthorizationFailed"
    r"|\b(?:un|not )authori[sz]ed\b|\bforbidden\b|does not have authorization|AADSTS\d+|az login"
    r"|ExpiredToken|InvalidSubscriptionId|SubscriptionNotFound|DefaultAzureCredential"
)
_QUOTA = re.compile(r"QuotaExceeded|exceeding approved quota")
"""Azure returns 403, as for a missing permission."""
_ASSIGNS_ROLES = re.compile(r"(?i)Microsoft\.Authorization/roleAssignments/")
_ROLE_ASSIGNED = re.compile(r"\bRoleAssignmentExists\b")
"""The same grant under another name (Microsoft: "Troubleshoot Azure RBAC")."""
_NOT_REGISTERED = re.compile(r"\bMissingSubscriptionRegistration\b")
_PROVIDER_NAMESPACE = re.compile(r"use namespace '([\w.]+)'")
_DISK_FULL = re.compile(r"(?i)no space left on device|disk quota exceeded|not enough space on the disk")
_EXISTS = re.compile(r"(?i)already exist")
_UNREACHABLE = re.compile(
    r"(?i)connection refused|no such host|network is unreachable|i/o timeout|name resolution|failed to connect"
    r"|Name or service not known|connection reset|timed out connecting|endpoint is unreachable"
)
_CONFIG = re.compile(
    r"Code=\"?(?:BadRequest|InvalidParameter\w*|InvalidTemplate|InvalidResourceName|LocationNotAvailableForResourceType"
    r"|InvalidResourceLocation|MissingRegistrationForLocation|NamespaceUnavailable|NameNotAvailable"
    r"|PrincipalNotFound|UnmatchedPrincipalType|PrincipalTypeNotSupported|InvalidPrincipalId)\b"
)
_RIGHT_TO_ASSIGN = (
    "Assigning roles needs Microsoft.Authorization/roleAssignments/write and delete on the namespace: "
    "the role Role Based Access Control Administrator, User Access Administrator or Owner."
)
_PRINTED_ERROR = re.compile(r"(?m)^ *error: (.+(?:\n(?! *error:).+)*)")


class Unreadable(SystemFault):
    """The provider cannot read these resources at present, which says nothing about them."""

    urns: Sequence[str] = ()


def unreadable(problems: Sequence[EngineProblem], is_unreadable: Callable[[str], bool]) -> Unreadable | None:
    """Return the error if nothing else failed."""
    errors = [each for each in problems if each.severity == "error" and not _is_summary(each.message)]
    if not errors or not all(each.name and is_unreadable(each.message) for each in errors):
        return None
    names = ", ".join(dict.fromkeys(each.name for each in errors))
    why = one_line(errors[0].message).removeprefix("Preview failed: ")
    error = Unreadable(
        "infra.unreadable",
        f"{names} cannot be read: {why}",
        hint="Run the command again in a few minutes, or with --no-refresh to trust the record.",
    )
    error.urns = [each.urn for each in errors]
    return error


def failure(
    stderr: str,
    problems: Sequence[EngineProblem],
    config_path_of: Callable[[str, str], str] = lambda *_: "",
    protect_setting: Callable[[str, str], str] = lambda *_: "protect",
    *,
    resumes: bool = False,
) -> DStreamError:
    """Return the first cause as an error.

    `stderr`: of the engine; `resumes`: some steps were completed and recorded; the others: of the definition.
    """
    errors = [each for each in problems if each.severity == "error" and not _is_summary(each.message)]
    causes = [each for each in errors if not _NOT_REACHED.search(each.message)] or errors
    if not causes:
        printed = [one_line(match) for match in _PRINTED_ERROR.findall(stderr)]
        said = [each for each in printed if not _is_summary(each)]
        text = said[0] if said else one_line(stderr) or "the engine failed without giving a reason"
        causes = [EngineProblem("error", text)]
    first = causes[0]
    text = one_line(first.message)
    message = f"{first.name}: {text}" if first.name else text
    if len(causes) > 1:
        others = ", ".join(dict.fromkeys(each.name for each in causes[1:] if each.name and each.name != first.name))
        message += f" (also failed: {others})" if others else ""
    error = _of(text, message, first, protect_setting)
    if resumes and not error.hint:
        error.hint = "Completed steps are recorded; run the same command again to resume."
    if first.name:
        error.config_path = config_path_of(first.type, first.name)
    return error


def warning(message: str) -> str:
    """Return the text of a warning of the engine for users; empty if another one says the same."""
    if not _IMPORT_DIFFERS.search(message):
        return message
    if _UNKNOWN_VALUE in message:  # replaced because of the resource that it is in
        return ""
    return "exists with settings that only a replacement could change; to import it, set them to the actual values"


def one_line(text: str) -> str:
    """Return the text without line breaks, at most 600 characters long."""
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def interrupted(command: str, done: Sequence[Step], unfinished: Sequence[Step], *, signal: int = 0) -> SystemFault:
    """Return the error for an engine that exited before it finished."""
    why = f"the engine was killed (signal {signal})" if signal else f"{command} was interrupted"
    hint = f"Run `dstream {command}` again to resume." if command in _CHANGING else ""
    return SystemFault("infra.interrupted", _how_far(why, done, unfinished), hint=hint)


def may_exist(failed: FailedCreation, *, is_cancelled: bool, is_resumed: bool) -> bool:
    """Return whether the resource may exist although its creation failed.

    `is_cancelled`: the command was cancelled. azure-native then aborts its requests (provider.go, Cancel and Create),
    but Azure completes those that it has received. `is_resumed`: an earlier command's creation of it was pending; if
    Azure completed that one just now, the resource was not found, and exists.
    """
    exists = bool(_EXISTS.search(failed.why))
    return (is_cancelled and not exists) or (is_resumed and exists)


def not_saved(file: str, command: str, done: Sequence[Step], unfinished: Sequence[Step]) -> SystemFault:
    """Return the error for an engine that could not save its record; the last complete version has been restored."""
    why = f"the disk is full: the engine could not save its record in {file}"
    return SystemFault(
        "infra.disk_full",
        _how_far(why, done, unfinished),
        hint=f"Free some space, then run `dstream {command}` again: it resumes from the last complete record, and "
        "checks the outcome of the incomplete steps.",
    )


def not_installed(name: str, version: str, home: str, cause: DStreamError) -> DStreamError:
    """Return the error for a provider plugin that could not be downloaded."""
    if cause.code in ("infra.interrupted", "infra.disk_full"):
        return cause
    return SystemFault(
        "infra.no_plugin",
        f"the provider plugin {name} {version} could not be downloaded: {cause.message}",
        hint="Check the network and the proxy settings. Without network access, download it elsewhere and run "
        f"`PULUMI_HOME={home} pulumi plugin install resource {name} v{version} --file FILE`.",
    )


def _how_far(why: str, done: Sequence[Step], unfinished: Sequence[Step]) -> str:
    parts = [why]
    if done:
        parts.append(f"completed: {_names(done)}")
    if unfinished:
        parts.append(f"possibly incomplete: {_names(unfinished)}")
    if not done and not unfinished:
        parts.append("nothing was changed")
    return "; ".join(parts)


def _of(text: str, message: str, cause: EngineProblem, protect_setting: Callable[[str, str], str]) -> DStreamError:
    if _PROTECTED.search(text) and re.search(r"(?i)delet|replac", text):
        who = cause.name or "a resource"
        return RefusedError(
            "infra.protected",
            f"{who} is protected: it cannot be deleted or replaced",
            hint=f"Set {protect_setting(cause.type, cause.name)} = false and run `dstream init` first.",
        )
    if _IMPORT_DIFFERS.search(text):
        return ConfigError(
            "infra.import_differs",
            f"{cause.name or 'the resource to import'} exists with settings that cannot be changed in place",
            hint="Nothing was changed. Set them to the actual values that `dstream plan` shows.",
        )
    if _OFF_PLAN.search(text):
        return RefusedError(
            "plan.stale", f"changed since the plan was made: {message}", hint="Run `dstream plan` again."
        )
    if missing := _NEEDS_TARGET.search(text):
        return _targets_missing(missing)
    if _PASSPHRASE.search(text):
        return ConfigError(
            "infra.passphrase",
            "the record is encrypted with a different passphrase",
            hint="Set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to the passphrase of the record.",
        )
    if _DISK_FULL.search(text):
        return SystemFault("infra.disk_full", message, hint="Free some space and run the same command again.")
    if not_served := _NOT_SERVED.search(text):
        return UnreachableError(
            "infra.provider_unreachable",
            f"the resource provider {not_served['name']} does not answer at the port in PULUMI_DEBUG_PROVIDERS",
            hint="Start it, or unset PULUMI_DEBUG_PROVIDERS. For the sandbox: `dstream sandbox up`, then "
            '`eval "$(dstream sandbox env)"`.',
        )
    if _NO_PLUGIN.search(text):
        return SystemFault(
            "infra.no_plugin",
            message,
            hint="Check the network and the proxy settings, or install the plugin in PULUMI_HOME.",
        )
    if _NO_LOGIN.search(text):
        return AuthError(
            "infra.not_signed_in",
            "not signed in to Pulumi Cloud",
            hint="Run `pulumi login`, or set PULUMI_ACCESS_TOKEN.",
        )
    if _NOT_AUTHORISED.search(text) and not _QUOTA.search(text):
        return AuthError("infra.not_authorised", message, hint=_RIGHT_TO_ASSIGN if _ASSIGNS_ROLES.search(text) else "")
    if _NOT_REGISTERED.search(text):
        return _not_registered(text, message)
    if _ROLE_ASSIGNED.search(text):
        return ConfigError(
            "infra.role_assigned",
            message,
            hint="The same role assignment exists under another name. Delete it with `az role assignment delete`, "
            "then run the same command again; or remove it from the configuration.",
        )
    if _EXISTS.search(text):
        return ConfigError(
            "infra.exists",
            message,
            hint="It exists but is not in this stack's record: import it with --import, or use a different name.",
        )
    if _UNREACHABLE.search(text):
        return UnreachableError("infra.unreachable", message)
    if _CONFIG.search(text):
        return ConfigError("infra.not_accepted", message)
    return SystemFault("infra.failed", message)


def _targets_missing(found: re.Match[str]) -> ConfigError:
    dependent, dependency = found["dependent"], found["dependency"]
    if dependency:
        message, add = f"{dependent} depends on {dependency}, which does not exist yet", dependency
    else:
        message, add = f"{dependent} depends on a target, so both must be deleted or replaced", dependent
    hint = (
        f"Nothing was changed. Add --target {add}{'' if dependency else ' or --target-dependents'}, or omit --target."
    )
    return ConfigError("infra.targets_missing", message, hint=hint)


def _not_registered(text: str, message: str) -> ConfigError:
    found = _PROVIDER_NAMESPACE.search(text)
    namespace = found[1] if found else "NAMESPACE"
    return ConfigError(
        "infra.not_registered",
        message,
        hint=f"Run `az provider register --namespace {namespace} --wait` once per subscription (it needs the role "
        "Contributor), then run the same command again.",
    )


def _is_summary(message: str) -> bool:
    """Whether the message is only the engine's summary after a failed step."""
    return message in ("update failed", "destroy failed", "preview failed", "refresh failed", "")


def _names(steps: Sequence[Step]) -> str:
    return ", ".join(dict.fromkeys(each.name for each in steps))
