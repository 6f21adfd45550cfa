"""Translates each error of the administration endpoint to one line without secrets."""

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
def raise_resource_failed(resource_id: str) -> Iterator[None]:
    """Raise ResourceFailed for errors of the service or the network."""
    try:
        yield
    except AzureError as error:
        raise ResourceFailed(_text(error, resource_id)) from error


def already_exists(resource_id: str) -> ResourceFailed:
    """Return an error worded like azure-native's, so that both modes report the same."""
    return ResourceFailed(f"cannot create already existing resource '{resource_id}'")


def _text(error: AzureError, resource_id: str) -> str:
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return f"{resource_id}: the administration endpoint is unreachable: {_cause(error)}"
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if isinstance(error, ClientAuthenticationError) or status in (401, 403):
        return f"{resource_id}: not authorized: requires the Manage claim"
    if status in (429, 503):
        return f"{resource_id}: still throttled after retries: {_detail(error)}"
    if isinstance(error, ResourceExistsError) or status == 409:
        return f"{resource_id}: conflict: {_detail(error)}"
    return f"{resource_id}: {_detail(error)}"


def _detail(error: AzureError) -> str:
    """The service's message, which for some statuses is only in the response body."""
    found = _DETAIL.search(str(error))
    return " ".join(found[1].split()) if found else reason(error)


def _cause(error: BaseException) -> str:
    """The innermost cause: the messages of requests and urllib3 contain object addresses."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return reason(error)
