"""The output provider for the SDK. Starts fast: imports azure and the settings only when needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from dstream.infra import PulumiInfrastructure
from dstream.sdk import Batch, Claim, InfrastructureContext, OutputProvider, Plan, Resource, Result, State, Status
from dstream.sdk.errors import DStreamError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from dstream.infra import Definition
    from dstream.sdk import DeadLetterStore, Finding
    from dstream_servicebus.config import Config  # in quotes below
    from dstream_servicebus.output_secret import OutputSecret
    from dstream_servicebus.publish.publication import Publication
    from dstream_servicebus.publish.rejections import RejectedRows


class ServiceBus(OutputProvider["Config"], PulumiInfrastructure["Config"]):
    """Provisions Azure Service Bus queues and topics, and publishes to them in order and with stable message ids."""

    name: ClassVar[str] = "servicebus"
    version: ClassVar[str] = "0.1.0"

    _publication: Publication | None = None

    @classmethod
    def config_type(cls) -> type[Any]:
        from dstream_servicebus.config import Config

        return Config

    @classmethod
    def check_config(cls, config: Config) -> Sequence[Claim]:
        from dstream_servicebus.specs.claims import claims_of

        return claims_of(config)

    def definition(self, context: InfrastructureContext) -> Definition:
        from dstream_servicebus.infrastructure.definition import definition

        return definition(self.config, import_existing=context.options.import_)

    def recorded(self, context: InfrastructureContext) -> Definition:
        from dstream_servicebus.infrastructure.definition import definition

        return definition(self.config, import_existing=False, is_made=False)

    def plan(self, context: InfrastructureContext) -> Plan:
        plan = super().plan(context)
        secret = self._secret_of(context)
        if secret is None:
            return plan
        recorded = _connection_string(context)
        if context.options.destroy:
            step = self._ended(context, recorded, secret.planned_deletion)
        else:
            step = secret.planned(None if any(_is_new_key(each) for each in plan.resources) else recorded)
        return plan if step is None else plan._replace(resources=[*plan.resources, step])

    def status(self, context: InfrastructureContext) -> Status:
        status = super().status(context)
        secret = self._secret_of(context)
        if secret is None or not context.options.refresh or context.options.refresh_only:
            return status
        recorded = _connection_string(context)
        if recorded is None:
            return status
        return status._replace(resources=[*status.resources, secret.actual(recorded)])

    def init(self, context: InfrastructureContext) -> Result:
        result = super().init(context)
        secret = self._secret_of(context)
        connection_string = _connection_string(context) if secret else None
        if secret is None or connection_string is None:
            return result
        step = secret.written(connection_string)
        if step.op != "same":
            context.resource(step, "done")
        return result._replace(resources=[*result.resources, step])

    def destroy(self, context: InfrastructureContext) -> Result:
        secret = self._secret_of(context)
        recorded = _connection_string(context) if secret else None
        result = super().destroy(context)
        step = self._ended(context, recorded, secret.deleted) if secret else None
        if step is None:
            return result
        if step.op == "delete":
            context.resource(step, "done")
        return result._replace(resources=[*result.resources, step])

    def start(self) -> None:
        """Open the known entities, so that errors are raised before any event is sent."""
        self._publication = self._new_publication()
        self._publication.open()
        self.limits = self._publication.limits

    def doctor(self, state: State) -> Iterator[Finding]:
        self._publication = self._new_publication()
        return self._publication.examine()

    def dead_letters(self, *, exclusive: bool) -> DeadLetterStore:
        from dstream_servicebus.publish.dead_letter_stores import open_store

        return open_store(self.config, self._stack, self._new_publication, exclusive=exclusive)

    def write(self, batch: Batch) -> Future[None]:
        assert self._publication is not None  # started
        return self._publication.write(batch)

    def _new_publication(self, rejected: RejectedRows | None = None) -> Publication:
        from dstream_servicebus.publish.publication import Publication

        return Publication(
            self.config,
            self.telemetry,
            self._stack(),
            resumes_from=_moment(self.run.checkpoint_stored_at),
            rejected=rejected,
        )

    def _stack(self) -> Mapping[str, Any] | None:
        """The stack's outputs, for `connection = "stack"`."""
        if self.config.connection != "stack":
            return None
        if secret := self._output_secret():
            return {"connection_string": secret.read()}
        from dstream.infra.engine.opening import stack_outputs

        return stack_outputs(self.infrastructure, os.environ)

    def _output_secret(self) -> OutputSecret | None:
        from dstream_servicebus.output_secret import OutputSecret
        from dstream_servicebus.specs.namespace import check_output_secret

        check_output_secret(self.config)
        return OutputSecret(self.config.output_secret) if self.config.output_secret else None

    def _secret_of(self, context: InfrastructureContext) -> OutputSecret | None:
        """The output secret, if the command concerns all of the task's infrastructure."""
        return None if context.options.target else self._output_secret()

    def _ended(
        self, context: InfrastructureContext, recorded: str | None, end: Callable[[str], Resource | None]
    ) -> Resource | None:
        """Call `end` if the key ends with the infrastructure. A vault that refuses must not block a clean-up."""
        if recorded is None or self.config.retain_on_delete or context.options.exclude:
            return None
        try:
            return end(recorded)
        except DStreamError as error:
            context.diagnostic("warning", f"{self.config.output_secret} stays in place: {error.message}")
            return None

    def close(self) -> None:
        if self._publication is not None:
            self._publication.close()


def _is_new_key(resource: Resource) -> bool:
    """Whether the step of a plan changes the connection string."""
    if resource.type == "output":
        return resource.name == "connection_string" and resource.op != "same"
    return resource.type.endswith("AuthorizationRule") and resource.op in ("create", "replace")


def _connection_string(context: InfrastructureContext) -> str | None:
    """The connection string in the stack's record; None if `init` has not created it yet."""
    from dstream.infra.engine.opening import stack_outputs

    return stack_outputs(context.infrastructure, os.environ).get("connection_string")


def _moment(text: str | None) -> datetime | None:
    """Return the time, or None for the text of a state file that was written by hand."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None
