"""The output provider for the SDK. Starts fast: imports azure and the settings only when needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from dstream.infra import PulumiInfrastructure
from dstream.sdk import Batch, Claim, InfrastructureContext, OutputProvider

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from dstream.infra import Definition
    from dstream_servicebus.config import Config  # in quotes below
    from dstream_servicebus.publication import Publication


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
        from dstream_servicebus.claims import claims_of

        return claims_of(config)

    def definition(self, context: InfrastructureContext) -> Definition:
        from dstream_servicebus.infrastructure import definition

        return definition(self.config, import_existing=context.options.import_)

    def recorded(self, context: InfrastructureContext) -> Definition:
        from dstream_servicebus.infrastructure import definition

        return definition(self.config, import_existing=False, is_made=False)

    def start(self) -> None:
        """Open the known entities, so that errors are raised before any event is sent."""
        from dstream_servicebus.publication import Publication

        self._publication = Publication(
            self.config,
            self.telemetry,
            self._stack(),
            resumes_from=_moment(self.run.checkpoint_stored_at),
        )
        self._publication.open()
        self.limits = self._publication.limits

    def write(self, batch: Batch) -> Future[None]:
        assert self._publication is not None  # started
        return self._publication.write(batch)

    def _stack(self) -> Mapping[str, Any] | None:
        """The stack's outputs, for `connection = "stack"`."""
        if self.config.connection != "stack":
            return None
        from dstream.infra.engine.session import stack_outputs

        return stack_outputs(self.infrastructure, os.environ)

    def close(self) -> None:
        if self._publication is not None:
            self._publication.close()


def _moment(text: str | None) -> datetime | None:
    """Return the time, or None for the text of a state file that was written by hand."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None
