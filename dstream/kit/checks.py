"""All checks as data: name, sentence, the rule's heading, role, and prerequisite checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dstream.kit import dead_letter_checks as dead_letters
from dstream.kit import input_checks as inputs
from dstream.kit import lifecycle_checks as lifecycle
from dstream.kit import output_checks as outputs
from dstream.kit import provider_checks as both
from dstream.kit import transform_checks as transforms
from dstream.kit.subject import Subject
from dstream.protocol.messages import Role


@dataclass(frozen=True, slots=True)
class Check:
    """One guarantee of the protocol. `run` raises Violation, or NotObservable if it cannot be observed."""

    run: Callable[[Subject], None]
    section: str
    """The heading in docs/reference/protocol.md that states the rule."""
    role: Role | None = None
    """None: all roles."""
    capability: str = ""
    """Only for providers with this capability."""
    infrastructure: bool | None = None
    """True: only for providers with infrastructure, on request; it is created and deleted. False: only for providers
    without it."""
    needs: tuple[str, ...] = ("sends_hello_first", "becomes_ready")
    """Checks that must pass before this one is meaningful."""

    @property
    def name(self) -> str:
        return self.run.__name__

    @property
    def sentence(self) -> str:
        return " ".join((self.run.__doc__ or "").split())


_HELLO = ("sends_hello_first",)
_PLANS = (*_HELLO, "plans_without_changing_anything")
_LIFECYCLE = "Lifecycle commands"
_PROVIDER = "Transform providers"
_DEAD_LETTERS: tuple[str, Role, str] = ("Dead letters", "output", "dead_letters")

CHECKS: tuple[Check, ...] = (
    Check(both.sends_hello_first, "Startup", needs=()),
    Check(both.waits_for_line_1, "Startup", needs=_HELLO),
    Check(both.describes_its_config, "Description", needs=_HELLO),
    # Before streaming: a run may need the resources that init creates.
    Check(lifecycle.refuses_lifecycle_commands, _LIFECYCLE, infrastructure=False, needs=_HELLO),
    Check(lifecycle.rejects_an_invalid_config_in_plan, _LIFECYCLE, infrastructure=True, needs=_HELLO),
    Check(lifecycle.plans_without_changing_anything, _LIFECYCLE, infrastructure=True, needs=_HELLO),
    Check(lifecycle.ignores_unknown_options, _LIFECYCLE, infrastructure=True, needs=_PLANS),
    Check(lifecycle.cancels_cleanly, _LIFECYCLE, infrastructure=True, needs=_PLANS),
    Check(lifecycle.creates_what_it_plans, _LIFECYCLE, infrastructure=True, needs=_PLANS),
    Check(lifecycle.finds_no_drift, _LIFECYCLE, infrastructure=True, needs=(*_PLANS, "creates_what_it_plans")),
    Check(both.becomes_ready, "Startup", needs=_HELLO),
    Check(both.accepts_a_large_line_1, "Later versions"),
    Check(both.ignores_unknown_control_lines, "Later versions"),
    Check(both.rejects_an_invalid_config, "Errors", needs=_HELLO),
    Check(inputs.writes_rows, "Rows and checkpoints", "input"),
    Check(inputs.numbers_its_checkpoints, "Rows and checkpoints", "input"),
    Check(inputs.counts_its_rows, "Rows and checkpoints", "input"),
    Check(inputs.respects_max_in_flight, "Rows and checkpoints", "input"),
    Check(inputs.resumes_from_a_checkpoint, "Rows and checkpoints", "input"),
    Check(inputs.honors_once, "Startup", "input"),
    Check(inputs.drains_on_stop, "Shutdown", "input"),
    Check(outputs.acknowledges_in_order, "Rows and checkpoints", "output"),
    Check(outputs.counts_settled_rows, "Rows and checkpoints", "output"),
    Check(outputs.acknowledges_empty_checkpoints, "Rows and checkpoints", "output"),
    Check(outputs.handles_a_large_row, "Errors", "output"),
    Check(outputs.drains_on_stop, "Shutdown", "output"),
    Check(outputs.acknowledges_only_checkpointed_rows, "Shutdown", "output"),
    Check(dead_letters.lists_its_dead_letters, *_DEAD_LETTERS, needs=_HELLO),
    Check(dead_letters.shows_a_dead_letter, *_DEAD_LETTERS, needs=(*_HELLO, "lists_its_dead_letters")),
    Check(dead_letters.refuses_changed_dead_letters, *_DEAD_LETTERS, needs=_HELLO),
    Check(transforms.passes_checkpoints_on, _PROVIDER, "transform"),
    Check(transforms.counts_its_rows, _PROVIDER, "transform"),
    Check(transforms.ends_after_stop, _PROVIDER, "transform"),
    Check(transforms.ends_only_after_stop, _PROVIDER, "transform"),
    Check(both.sends_heartbeats, "Telemetry"),
    Check(both.exits_when_the_host_dies, "Shutdown"),
    Check(both.leaves_no_process_when_killed, "Shutdown"),
    Check(lifecycle.destroys_what_it_created, _LIFECYCLE, infrastructure=True, needs=_PLANS),
    Check(both.does_not_leak_secrets, "Telemetry", needs=_HELLO),
    # Last: they inspect the output of all earlier checks.
    Check(both.writes_only_messages_to_stdout, "Startup", needs=_HELLO),
    Check(both.writes_valid_control_lines, "Provider protocol, version 1", needs=_HELLO),
)
