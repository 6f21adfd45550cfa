"""Stores checkpoints in a container of Azure Blob Storage: one blob per task, which carries the task's lease.

The rules of leases are those of Microsoft's "Lease Blob" (REST API of Blob Storage): a lease lasts 15 to 60 seconds; a
write to a leased blob needs the lease's id; renewing works after the end too, unless the blob was changed or leased
since; only a blob that exists can be leased, so a task without a checkpoint has a blob with `null`.

A write also names the ETag of the last one ("Specifying conditional headers for Blob service operations"), so that a
request which was delayed on its way cannot overwrite a newer checkpoint of the same holder.
"""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import msgspec

from dstream.errors import AuthError, ConfigError, DStreamError, LockedError, UnreachableError
from dstream.loopback import is_loopback
from dstream.state._document import StoredState, decode_state, encode_state, file_name, stored_hint
from dstream.state._history import HistoryPace, decoded, entry_name
from dstream.state._holder import TaskLockHolder, decode_holder, locked
from dstream.state._lease import RenewedLease, lost
from dstream.state._store import Lease
from dstream.state._transport import check_transport

try:
    from azure.core import MatchConditions
    from azure.core.exceptions import (
        AzureError,
        ClientAuthenticationError,
        HttpResponseError,
        ResourceExistsError,
        ResourceNotFoundError,
    )
    from azure.storage.blob import BlobClient, BlobLeaseClient, BlobProperties, ContainerClient, LinearRetry
except ImportError:
    raise ConfigError(
        "state.not_installed",
        'the state backend "azblob" needs packages that are not installed',
        hint="Install them: pip install azure-identity azure-storage-blob",
    ) from None

_NO_CHECKPOINT = b"null"
_NOTE = "dstreamholder"
_LOST = frozenset(
    {
        "LeaseIdMismatchWithLeaseOperation",
        "LeaseIsBrokenAndCannotBeRenewed",
        "LeaseNotPresentWithLeaseOperation",
        "LeaseIsBreakingAndCannotBeAcquired",
        "BlobNotFound",
    }
)
"""Error codes of a renewal ("Blob service error codes"): another process has the lease, or it was broken or deleted."""
_TAKEN = frozenset({"LeaseAlreadyPresent", "LeaseIsBreakingAndCannotBeAcquired"})
_BRIEF: dict[str, Any] = {"retry_total": 1, "connection_timeout": 3, "read_timeout": 3}
"""For requests that are repeated anyway, or that the end of a run waits for."""
_REASON = re.compile(r"(?:\[Errno -?\d+\]|\[SSL: \w+\]) (?P<reason>[\w ,;:-]+)")
_SIGN_IN = (
    "Sign in with `az login`, run where a managed identity is available, set AZURE_STORAGE_KEY, or use a URL with a "
    "shared access signature. The identity needs the role Storage Blob Data Contributor on the container."
)


class BlobStore:
    """A task's blob at `<stack>/<task>.json`."""

    def __init__(
        self,
        container: ContainerClient,
        stack: str,
        task: str,
        history: int,
        lease_s: float,
        *,
        is_only_lock: bool = False,
    ) -> None:
        """`is_only_lock`: it is used only for its lease, in `<stack>/<task>.lock` of a container that may not exist."""
        self._container = container
        self._task = task
        self._lease_s = lease_s
        self._is_only_lock = is_only_lock
        self._name = f"{file_name(stack)}/{file_name(task)}.{'lock' if is_only_lock else 'json'}"
        self._kept = f"{file_name(stack)}/{file_name(task)}.history/"
        self._blob: BlobClient = self._container.get_blob_client(self._name)
        self._etag: str | None = None
        self._note: dict[str, str] = {}
        self._pace = HistoryPace(history)
        self._kept_names: set[str] | None = None
        """The blobs of the history; None until they are listed."""

    @property
    def place(self) -> str:
        return f"{place_of(self._container)}/{self._name}"

    def load(self) -> StoredState | None:
        with reported(self._container):
            try:
                found = self._blob.download_blob()
                document: bytes = found.readall()
            except ResourceNotFoundError as error:
                if _code(error) == "ContainerNotFound":
                    raise
                return None
        self._etag = found.properties.etag
        if document == _NO_CHECKPOINT:
            return None
        return decode_state(document, source=self.place, hint=stored_hint(self._task))

    def save(self, state: StoredState, lease: Lease) -> None:
        self._write(encode_state(state), lease)
        if self._pace.is_due:
            with suppress(DStreamError):  # no row depends on it
                self._keep(state)
            self._pace.kept()

    def keep(self, state: StoredState, lease: Lease) -> None:
        lease.check()
        self._keep(state)

    def history(self) -> Sequence[StoredState]:
        with reported(self._container):
            names = [each.name for each in self._container.list_blobs(name_starts_with=self._kept)]
            return decoded(self._container.download_blob(name).readall() for name in names)

    def remove(self, lease: Lease) -> bool:
        with reported(self._container):
            try:
                size = self._blob.get_blob_properties().size
            except ResourceNotFoundError:
                return False
        if size == len(_NO_CHECKPOINT):
            return False
        self._write(_NO_CHECKPOINT, lease)
        return True

    def lease(self, since: datetime, command: str = "run") -> Lease:
        return RenewedLease(self, self._task, self._lease_s, since, command)

    def close(self) -> None:
        self._container.close()

    def acquire(self, holder: TaskLockHolder) -> str:
        """Take the lease under an id of our own, so that a repeated request takes it only once. A standby asks every
        second, so this is one request that only reads while another host has the lease."""
        present = self.holder()
        if present is not None:
            raise self._locked(present)
        lease = BlobLeaseClient(self._blob, str(uuid.uuid4()))
        with reported(self._container):
            try:
                try:
                    lease.acquire(lease_duration=int(self._lease_s), **_BRIEF)
                except ResourceNotFoundError:
                    self._create_blob()
                    lease.acquire(lease_duration=int(self._lease_s), **_BRIEF)
            except HttpResponseError as error:
                if _code(error) not in _TAKEN:
                    raise
                raise self._locked(self.holder()) from None
            self._note = {_NOTE: quote(msgspec.json.encode(holder))}
            self._etag = str(self._blob.set_blob_metadata(self._note, lease=lease.id)["etag"])
        return lease.id

    def renew(self, fence: str) -> bool:
        with reported(self._container):
            try:
                BlobLeaseClient(self._blob, fence).renew(retry_total=0, connection_timeout=3, read_timeout=3)
            except HttpResponseError as error:
                if _code(error) in _LOST:
                    return False
                raise
        return True

    def release(self, fence: str) -> None:
        with reported(self._container):
            try:
                BlobLeaseClient(self._blob, fence).release(**_BRIEF)
            except HttpResponseError as error:
                if _code(error) not in _LOST:
                    raise

    def holder(self) -> TaskLockHolder | None:
        with reported(self._container):
            try:
                found = self._blob.get_blob_properties(**_BRIEF)
            except ResourceNotFoundError as error:
                if _code(error) == "ContainerNotFound" and not self._is_only_lock:
                    raise
                return None
        is_leased = found.lease.state == "leased"
        return decode_holder(unquote(found.metadata.get(_NOTE, ""))) if is_leased else None

    def _locked(self, holder: TaskLockHolder | None) -> LockedError:
        return locked(self._task, holder, "the lease is released when its run ends, or expires")

    def _create_blob(self) -> None:
        """Create the blob unless it exists, and the container of a lock, as the original DStream does."""
        try:
            self._blob.upload_blob(_NO_CHECKPOINT, overwrite=False)
        except ResourceExistsError:
            pass
        except HttpResponseError as error:
            if self._is_only_lock and _code(error) == "ContainerNotFound":
                with suppress(ResourceExistsError):  # by another host
                    self._container.create_container()
                self._create_blob()
            elif error.status_code != 412:  # leased by another process, so it exists
                raise

    def _write(self, document: bytes, lease: Lease) -> None:
        """Replace the document. Raises `state.lease_lost` if another process has the lease."""
        with reported(self._container):
            try:
                self._upload(document, lease.fence)
            except HttpResponseError as error:
                if error.status_code not in (404, 412):
                    raise
                if not self.renew(lease.fence):
                    raise lost(self._task, self.holder()) from None
                # The lease had expired; or an earlier request of ours has arrived although its answer has not, since
                # nobody without our lease can change the blob.
                self._etag = self._blob.get_blob_properties(lease=lease.fence).etag
                self._upload(document, lease.fence)

    def _upload(self, document: bytes, fence: str) -> None:
        written = self._blob.upload_blob(
            document,
            overwrite=True,
            lease=BlobLeaseClient(self._blob, fence),
            etag=self._etag,
            match_condition=MatchConditions.IfNotModified,
            metadata=self._note,
        )
        self._etag = str(written["etag"])

    def _keep(self, state: StoredState) -> None:
        """List the history once: only the holder of the lease changes it. The client leaves what it lists as garbage in
        cycles, which accumulates for a long time, since Python rarely looks for old garbage in a large program."""
        with reported(self._container):
            name = f"{self._kept}{entry_name(state)}.json"
            self._container.upload_blob(name, encode_state(state), overwrite=True)
            if self._kept_names is None:
                self._kept_names = {each.name for each in self._container.list_blobs(name_starts_with=self._kept)}
            self._kept_names.add(name)
            for surplus in sorted(self._kept_names, reverse=True)[self._pace.most :]:
                with suppress(ResourceNotFoundError):  # deleted by an earlier holder
                    self._container.delete_blob(surplus)
                self._kept_names.remove(surplus)


def stored_in_container(url: str, stack: str, *, allow_plaintext: bool) -> set[str]:
    """Return the names of the tasks that have a checkpoint."""
    prefix = f"{file_name(stack)}/"
    with container_client(url, allow_plaintext=allow_plaintext) as container, reported(container):
        return {
            unquote(each.name.removeprefix(prefix).removesuffix(".json"))
            for each in container.walk_blobs(name_starts_with=prefix)
            if isinstance(each, BlobProperties) and each.name.endswith(".json") and each.size != len(_NO_CHECKPOINT)
        }


def container_client(url: str, *, allow_plaintext: bool = False) -> ContainerClient:
    """Return the client of a container, with a shared access signature in the URL, AZURE_STORAGE_KEY or
    DefaultAzureCredential."""
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # DStream reports each failure once
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.path.strip("/"):
        raise ConfigError(
            "state.bad_url",
            "the state url is not the URL of a container",
            hint="Use e.g. https://ACCOUNT.blob.core.windows.net/CONTAINER.",
        )
    credential: Any = None
    if "sig" not in parse_qs(parts.query):
        credential = os.environ.get("AZURE_STORAGE_KEY") or _default_credential()
    if isinstance(credential, str) and ".blob." not in (parts.hostname or ""):
        # The account of an emulator is the first part of the path; the client takes it from the host otherwise.
        credential = {"account_name": parts.path.strip("/").partition("/")[0], "account_key": credential}
    client = ContainerClient.from_container_url(url, credential=credential, **_patience())
    _check_transport(client, allow_plaintext)
    return client


def connected_container(connection_string: str, container: str, *, allow_plaintext: bool) -> ContainerClient:
    """Return the client of a container, with the credentials in the connection string of its account."""
    logging.getLogger("azure").setLevel(logging.CRITICAL)
    try:
        client = ContainerClient.from_connection_string(connection_string, container, **_patience())
    except ValueError:
        raise ConfigError(
            "state.bad_url",
            "the connection string of the lock is not one of a storage account",
            hint="Copy it from the account's access keys: DefaultEndpointsProtocol=https;AccountName=..;AccountKey=..",
        ) from None
    _check_transport(client, allow_plaintext)
    return client


def _check_transport(container: ContainerClient, allow_plaintext: bool) -> None:
    url = urlsplit(container.url)
    is_plain = url.scheme == "http" and not is_loopback(url.hostname or "")
    check_transport(
        place_of(container), "it uses http" if is_plain else "", "Use https.", allow_plaintext=allow_plaintext
    )


def _patience() -> dict[str, Any]:
    return {"retry_policy": LinearRetry(backoff=1, retry_total=2), "connection_timeout": 5, "read_timeout": 10}


def _default_credential() -> object:
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential(process_timeout=10)


def place_of(container: ContainerClient) -> str:
    """Return the container's URL without a signature."""
    return str(container.url).partition("?")[0]


def _code(error: HttpResponseError) -> str:
    code = getattr(error, "error_code", "") or ""
    return str(getattr(code, "value", code))


@contextmanager
def reported(container: ContainerClient) -> Iterator[None]:
    """Raise DStream's errors for those of the client."""
    place = place_of(container)
    try:
        yield
    except ClientAuthenticationError as error:
        code = f" ({_code(error)})" if _code(error) else ""
        raise AuthError("state.denied", f"not signed in to {place}{code}", hint=_SIGN_IN) from None
    except HttpResponseError as error:
        raise _refused(place, error) from None
    except AzureError as error:
        found = _REASON.search(str(error))  # the whole text may contain the URL with its signature
        raise _unavailable(place, found["reason"].strip() if found else type(error).__name__) from None


def _refused(place: str, error: HttpResponseError) -> DStreamError:
    code, status = _code(error), error.status_code or 0
    if code in ("ContainerNotFound", "ContainerBeingDeleted"):
        return ConfigError(
            "state.no_backend",
            f"there is no container {place}",
            hint="Create it: az storage container create --name CONTAINER --account-name ACCOUNT --auth-mode login",
        )
    if status in (401, 403):
        return AuthError("state.denied", f"access to {place} is denied ({code or status})", hint=_SIGN_IN)
    return _unavailable(place, f"HTTP status {status}{f' ({code})' if code else ''}")


def _unavailable(place: str, why: str) -> UnreachableError:
    return UnreachableError(
        "state.unavailable",
        f"the state backend {place} cannot be used: {why}",
        hint="Nothing is lost: the last stored checkpoint is kept. Check the address, the network and the service.",
    )
