"""The store of the records: what is missing, and what denies access."""

from __future__ import annotations

import pytest

from dstream.infra.engine.backend_failures import backend_failure

# Recorded from the engine: Azurite, and AWS's and Google's clients without credentials.
AZURE = 'error: read ".pulumi/meta.yaml": blob (key ".pulumi/meta.yaml") (code=Unknown): GET http://x RESPONSE 403: 403 Server failed to authenticate the request. ERROR CODE: {} <?xml'
NO_CONTAINER = "error: error listing stacks: could not list bucket: blob (code=NotFound): GET http://x RESPONSE 404: 404 The specified container does not exist. ERROR CODE: ContainerNotFound"
NO_GOOGLE = "error: missing google credentials: unable to find gcp credentials: google: could not find default credentials. See https://cloud.google.com"
S3 = 'error: read ".pulumi/meta.yaml": blob (key ".pulumi/meta.yaml") (code=PermissionDenied): operation error S3: GetObject, https response error StatusCode: 403, api error AccessDenied: Access Denied'


@pytest.mark.parametrize(
    ("stderr", "code", "message"),
    [
        (NO_CONTAINER, "infra.no_backend", "the record's container or bucket does not exist: azblob://x"),
        (
            AZURE.format("AuthorizationFailure"),
            "infra.backend_denied",
            "azblob://x denies access: AuthorizationFailure",
        ),
        (AZURE.format("AuthorizationPermissionMismatch"), "infra.backend_denied", "denies access: AuthorizationPerm"),
        (NO_GOOGLE, "infra.backend_denied", "could not find default credentials"),
        (S3, "infra.backend_denied", "AccessDenied"),
    ],
)
def test_the_reason_is_found_in_the_response(stderr: str, code: str, message: str) -> None:
    error = backend_failure(stderr, "azblob://x")
    assert error is not None
    assert (error.code, message in error.message) == (code, True)


@pytest.mark.parametrize("stderr", ["", "error: Status=403 Code=AuthorizationFailed", "error: ContainerNotFound"])
def test_other_failures_are_left_alone(stderr: str) -> None:
    assert backend_failure(stderr, "azblob://x") is None
