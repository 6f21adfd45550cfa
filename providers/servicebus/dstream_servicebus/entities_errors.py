"""What the administration endpoint's refusals mean, in one line without any secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ServiceRequestError,
    ServiceResponseError,
)

from dstream.infra.attached.types import ResourceFailed
from dstream_servicebus.retry import reason

_DETAIL = re.compile(r"<Detail>(.*?)</Detail>", re.DOTALL)


@contextmanager
def told(resource_id: str) -> Iterator[None]:
    """Raises ResourceFailed for what the service or the network refuses."""
    try:
        yield
    except AzureError as error:
        raise ResourceFailed(_text(error, resource_id)) from error


def already_exists(resource_id: str) -> ResourceFailed:
    """In azure-native's words, so that people and programs find the same in both modes."""
    return ResourceFailed(f"cannot create already existing resource '{resource_id}'")


def _text(error: AzureError, resource_id: str) -> str:
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return f"{resource_id}: the administration endpoint is unreachable: {_cause(error)}"
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if isinstance(error, ClientAuthenticationError) or status in (401, 403):
        return f"{resource_id}: not authorized: needs Manage"
    if status in (429, 503):
        return f"{resource_id}: still throttled after retries: {_detail(error)}"
    if isinstance(error, ResourceExistsError) or status == 409:
        return f"{resource_id}: conflict: {_detail(error)}"
    return f"{resource_id}: {_detail(error)}"


def _detail(error: AzureError) -> str:
    """What the service says: for some statuses the SDK shows it only inside the body."""
    found = _DETAIL.search(str(error))
    return " ".join(found[1].split()) if found else reason(error)


def _cause(error: BaseException) -> str:
    """The innermost: requests and urllib3 wrap it in their own objects' addresses."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return reason(error)
