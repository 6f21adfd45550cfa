"""What the error of a blob container that cannot be reached says."""

from __future__ import annotations

import pytest
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseTimeoutError

from dstream.errors import UnreachableError
from dstream.state._blob import container_client, reported

POOL = "HTTPSConnectionPool(host='acct', port=443): Max retries exceeded with url: /c/b?sig=AAAA (Caused by "


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            ServiceRequestError("HTTPSConnection(host='a', port=443): Failed ([Errno -2] Name or service not known)"),
            "Name or service not known",
        ),
        (ServiceRequestError(f"{POOL}NewConnectionError('[Errno 111] Connection refused'))"), "Connection refused"),
        (
            ServiceRequestError(f"{POOL}[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed (_ssl"),
            "certificate verify failed: self-signed",
        ),
        (ServiceResponseTimeoutError(f"{POOL}read timeout=10)"), "ServiceResponseTimeoutError"),
    ],
)
def test_it_says_what_failed_without_the_signature_of_the_url(error: AzureError, why: str) -> None:
    with pytest.raises(UnreachableError) as caught, reported(container_client("http://127.0.0.1:1/a/c?sig=AAAA")):
        raise error
    assert caught.value.message == f"the state backend http://127.0.0.1:1/a/c cannot be used: {why}"
