"""The namespace that a connection string leads to. The ids of entities do not contain it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from azure.core.exceptions import AzureError
from azure.servicebus.management import NamespaceProperties, ServiceBusAdministrationClient


class ConnectedNamespace:
    """Asks the service once (azure.servicebus.management, get_namespace_properties)."""

    def __init__(self, administration: Callable[[], ServiceBusAdministrationClient]) -> None:
        self._administration = administration
        self._lock = threading.Lock()
        self._is_known = False
        self._properties: NamespaceProperties | None = None

    @property
    def properties(self) -> NamespaceProperties | None:
        """None if the service does not answer; an emulator may not know this request."""
        with self._lock:
            if not self._is_known:
                self._is_known = True
                with contextlib.suppress(AzureError):
                    self._properties = self._administration().get_namespace_properties()
            return self._properties

    @property
    def name(self) -> str:
        """The name, which is unique in Azure; empty if unknown."""
        return str(self.properties.name or "") if self.properties else ""
