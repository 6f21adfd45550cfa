"""Retries operations that the service refuses while another one runs on the same topic.

The engine creates several entities concurrently, and subscriptions and rules of one topic conflict in the service
(Azure/azure-sdk-for-js#6276, #5516). Microsoft: "Service Bus Resource Manager exceptions", Conflict.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from azure.core.exceptions import HttpResponseError

_Result = TypeVar("_Result")

_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
_IN_PROGRESS = re.compile(r"SubCode=40901|conflicting operation", re.IGNORECASE)


def retry_conflicts(call: Callable[[], _Result], sleep: Callable[[float], None] = time.sleep) -> _Result:
    """Return the call's result, retrying for up to about 15 seconds. Raises the error of the last attempt."""
    for wait_s in _WAITS_S:
        try:
            return call()
        except HttpResponseError as error:
            if error.status_code != 409 or not _IN_PROGRESS.search(str(error)):
                raise
        sleep(wait_s * random.uniform(0.5, 1.5))  # spread the retries of operations that collided
    return call()
