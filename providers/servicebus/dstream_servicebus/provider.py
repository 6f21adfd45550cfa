"""The output provider as the SDK knows it. Light: the first line comes before azure and the settings are imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dstream.sdk import Batch, OutputProvider

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dstream_servicebus.config import Config  # noqa: F401  # in quotes below
    from dstream_servicebus.publication import Publication


class ServiceBus(OutputProvider["Config"]):
    """Publishes to Azure Service Bus queues and topics, in order and with stable message ids."""

    name: ClassVar[str] = "servicebus"
    version: ClassVar[str] = "0.1.0"

    _publication: Publication | None = None

    @classmethod
    def config_type(cls) -> type[Any]:
        from dstream_servicebus.config import Config

        return Config

    def start(self) -> None:
        """Open what is known to be published to; what is wrong with it is raised before any event moves."""
        from dstream_servicebus.publication import Publication

        self._publication = Publication(self.config, self.telemetry)
        self._publication.open()
        self.limits = self._publication.limits

    def write(self, batch: Batch) -> Future[None]:
        assert self._publication is not None  # started
        return self._publication.write(batch)

    def close(self) -> None:
        if self._publication is not None:
            self._publication.close()
