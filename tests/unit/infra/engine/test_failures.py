"""How failures become errors. Their texts come from providers, the engine and the CLI's stderr."""

from __future__ import annotations

import pytest

from dstream.infra.engine.events import EngineProblem, FailedCreation
from dstream.infra.engine.failures import failure, interrupted, may_exist, not_installed, one_line, warning
from dstream.infra.plan.step import Step

URN = "urn:pulumi:dev::t::azure-native:servicebus:Queue::orders"


@pytest.mark.parametrize(
    ("text", "code", "kind"),
    [
        ('Status=403 Code="AuthorizationFailed" Message="The client .."', "infra.not_authorised", "auth"),
        ("autorest/azure: StatusCode=401 -- Original Error: token expired", "infra.not_authorised", "auth"),
        ('Code="QuotaExceeded" Message="at most 4013 queues"', "infra.failed", "system"),
        ("cannot create already existing resource '/subscriptions/x'", "infra.exists", "config"),
        ('Status=403 Code="QuotaExceeded" Message="no more queues"', "infra.failed", "system"),
        (
            "previously-imported resources that still specify an ID may not be replaced; please remove the `import`",
            "infra.import_differs",
            "config",
        ),
        ("dial tcp 127.0.0.1:1: connect: connection refused", "infra.unreachable", "unreachable"),
        ("[resource plugin azure-native-3.29.0] downloading from : failed all 5 attempts", "infra.no_plugin", "system"),
        ("write /s/dev.json.1.tmp: no space left on device", "infra.disk_full", "system"),
        ('Code="BadRequest" Message="lockDuration is too long"', "infra.not_accepted", "config"),
        (f"resource {URN} violates plan: properties changed: =~size[{{1}}]", "plan.stale", "refused"),
        ("create is not allowed by the plan: no steps were expected", "plan.stale", "refused"),
        (f'resource "{URN}" cannot be deleted\nbecause it is protected.', "infra.protected", "refused"),
        (
            'Status=409 Code="RoleAssignmentExists" Message="The role assignment already exists."',
            "infra.role_assigned",
            "config",
        ),
        ('Status=400 Code="PrincipalNotFound" Message="Principal does not exist"', "infra.not_accepted", "config"),
        ("no resource plugin 'pulumi-resource-azure-native' found in the workspace", "infra.no_plugin", "system"),
    ],
)
def test_a_cause_maps_to_a_code_and_a_kind(text: str, code: str, kind: str) -> None:
    error = failure(
        "",
        [
            EngineProblem("warning", "unrelated"),
            EngineProblem("error", text, URN),
            EngineProblem("error", "update failed"),
        ],
    )
    assert (error.code, error.kind) == (code, kind)
    assert "orders" in error.message
    assert "\n" not in error.message


def test_an_unregistered_subscription_gets_the_command_that_registers_it() -> None:
    words = (
        "The subscription is not registered to use namespace 'Microsoft.ServiceBus'. See https://aka.ms/rps-not-found"
    )
    error = failure(
        "", [EngineProblem("error", f'Status=409 Code="MissingSubscriptionRegistration" Message="{words}"')]
    )

    assert (error.code, error.kind) == ("infra.not_registered", "config")
    assert "az provider register --namespace Microsoft.ServiceBus" in error.hint


def test_without_the_right_to_assign_roles_the_hint_names_the_roles_that_have_it() -> None:
    words = "does not have authorization to perform action 'Microsoft.Authorization/roleAssignments/write' over scope"
    error = failure("", [EngineProblem("error", f'Status=403 Code="AuthorizationFailed" Message="{words}"', URN)])

    assert (error.code, error.kind) == ("infra.not_authorised", "auth")
    assert "Role Based Access Control Administrator" in error.hint


def test_the_first_cause_is_shown_and_other_failed_resources_are_named() -> None:
    other = URN.replace("orders", "returns")
    error = failure("", [EngineProblem("error", "no more\n  queues", URN), EngineProblem("error", "nor here", other)])
    assert error.message == "orders: no more queues (also failed: returns)"


def test_a_provider_that_does_not_answer_is_named() -> None:
    text = "azure-native (resource) plugin [azure-native] did not begin responding to RPC connections"
    error = failure("", [EngineProblem("error", text)])
    assert (error.code, error.kind) == ("infra.provider_unreachable", "unreachable")
    assert error.message.startswith("the resource provider azure-native does not answer")
    assert "dstream sandbox up" in error.hint


def test_only_a_command_that_completed_steps_advises_to_resume() -> None:
    problem = EngineProblem("error", "no", URN)
    assert failure("", [problem]).hint == ""
    assert "run the same command again" in failure("", [problem], resumes=True).hint


def test_a_missing_target_is_named_without_the_engines_flags() -> None:
    other = URN.replace("orders", "returns")
    text = (
        f"Resource '{URN}' will be destroyed but was not specified in --target list.\n"
        "Either include resource in --target list or pass --target-dependents to proceed."
    )
    error = failure("", [EngineProblem("error", text, URN)])
    assert (error.code, error.message) == (
        "infra.targets_missing",
        "orders depends on a target, so both must be deleted or replaced",
    )
    assert "--target orders" in error.hint
    text = f"Resource '{URN}' depends on '{other}' which was was not specified in --target list."
    error = failure("", [EngineProblem("error", text, URN)])
    assert error.message == "orders depends on returns, which does not exist yet"
    assert "--target returns" in error.hint


def test_a_plugin_that_cannot_be_downloaded_is_named_with_the_command_to_install_it() -> None:
    cause = failure("error: [resource plugin x-1.0.0] downloading from : failed all 5 attempts", [])
    error = not_installed("azure-native", "3.29.0", "/home", cause)
    assert error.message.startswith("the provider plugin azure-native 3.29.0 could not be downloaded: ")
    assert "PULUMI_HOME=/home pulumi plugin install resource azure-native v3.29.0 --file FILE" in error.hint
    stopped = interrupted("plan", [], [])
    assert not_installed("azure-native", "3.29.0", "/home", stopped) is stopped


def test_a_step_that_a_failure_prevented_is_not_called_failed() -> None:
    other = URN.replace("orders", "returns")
    unseen = EngineProblem("error", f"expected resource operations for {other} but none were seen", other)
    assert failure("", [unseen, EngineProblem("error", "no more", URN)]).message == "orders: no more"
    assert "none were seen" in failure("", [unseen]).message


def test_a_resource_error_points_to_the_setting_that_declares_it() -> None:
    def path(resource_type: str, name: str) -> str:
        return f"{resource_type.rpartition(':')[2]}s.{name}"

    assert failure("", [EngineProblem("error", "no", URN)], path).config_path == "Queues.orders"
    assert failure("", [EngineProblem("error", "no")], path).config_path == ""


def test_without_a_diagnostic_the_stderr_of_the_cli_is_used() -> None:
    error = failure("warning: x\nerror: incorrect passphrase, please set it\n", [])
    assert error.code == "infra.passphrase"
    assert failure("error: open x:\n  no such file\n", []).message == "open x: no such file"
    assert failure("", []).message == "the engine failed without giving a reason"


def test_an_interruption_lists_completed_and_incomplete_resources() -> None:
    done, open_ = Step(URN, "create"), Step(URN.replace("orders", "returns"), "create")
    error = interrupted("init", [done], [open_])
    assert error.message == "init was interrupted; completed: orders; possibly incomplete: returns"
    assert interrupted("plan", [], []).message == "plan was interrupted; nothing was changed"
    assert interrupted("destroy", [], [], signal=9).message.startswith("the engine was killed (signal 9)")


@pytest.mark.parametrize(
    ("why", "is_cancelled", "is_resumed", "may"),
    [
        ('Put "https://management.azure.com/subscriptions/x": context canceled', True, False, True),
        ('Status=403 Code="QuotaExceeded"', False, False, False),
        ("cannot create already existing resource '/x'", True, False, False),
        ("cannot create already existing resource '/x'", False, True, True),
    ],
)
def test_a_failed_creation_may_have_succeeded_unless_somebody_else_made_the_resource(
    why: str, *, is_cancelled: bool, is_resumed: bool, may: bool
) -> None:
    failed = FailedCreation(Step(URN, "create"), why, {})
    assert may_exist(failed, is_cancelled=is_cancelled, is_resumed=is_resumed) == may


def test_a_message_is_one_line_of_limited_length() -> None:
    assert one_line(" a\n\t b ") == "a b"
    assert len(one_line("x" * 5000)) == 600


def test_the_hint_of_a_protected_resource_names_the_setting() -> None:
    problem = EngineProblem("error", f'resource "{URN}" cannot be deleted\nbecause it is protected.', URN)
    error = failure("", [problem], protect_setting=lambda *_: "protect_namespace")
    assert error.hint == "Set protect_namespace = false and run `dstream init` first."


def test_a_preview_warns_of_an_import_that_would_be_a_replacement_without_the_engines_advice() -> None:
    advice = "previously-imported resources that still specify an ID may not be replaced; please remove the `import` "
    assert warning(f"{advice}declaration\nrequiresSession: {{<nil>}} => {{true}}") == (
        "exists with settings that only a replacement could change; to import it, set them to the actual values"
    )
    assert warning(f"{advice}declaration\nsubscriptionName: {{all}} => output<string>{{}}") == ""
    assert warning("something else") == "something else"
