"""Plans show Service Bus settings by name and unit. The host displays settings that are not in the table."""

from __future__ import annotations

from typing import Any

import pytest
from dstream_servicebus.infrastructure.display import ServiceBusDisplay

QUEUE = "azure-native:servicebus:Queue"


@pytest.mark.parametrize(
    ("path", "value", "label", "text"),
    [
        ("maxSizeInMegabytes", 1024, "max size", "1GB"),
        ("defaultMessageTimeToLive", "P10675199DT2H48M5.4775807S", "default time to live", "never"),
        ("lockDuration", "[secret]", "lock duration", ""),
        ("maxSizeInMegabytes", "output<integer>", "max size", ""),
        ("status", "Active", "", ""),
    ],
)
def test_settings_are_shown_by_name_and_unit(path: str, value: Any, label: str, text: str) -> None:
    display = ServiceBusDisplay()
    assert (display.label(QUEUE, path), display.text(QUEUE, path, value)) == (label, text)
