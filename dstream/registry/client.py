"""Pulls from and pushes to one repository, with python-dxf, and explains what fails.

OCI distribution specification 1.1. TLS is required, except on a loopback address that does not speak it. No error
contains a URL: redirects of a registry carry signatures.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from dstream.errors import AuthError, ConfigError, DStreamError, RefusedError, UnreachableError
from dstream.loopback import is_loopback
from dstream.registry.artifact import EMPTY_CONFIG, PushedFile, digest_of, manifest_of
from dstream.registry.credentials import RegistryLogin, login_of
from dstream.registry.reference import Reference

if TYPE_CHECKING:
    import dxf
    import requests

_TIMEOUT_S = 30.0
"""For connecting, and for each further part of an answer."""
_CHUNK = 1024 * 1024
_CLIENT = "dstream"
_API_HOSTS = {"docker.io": "registry-1.docker.io"}


class RegistryClient:
    """One artifact's repository. Methods raise AuthError, ConfigError, RefusedError or UnreachableError, all with codes
    that begin with `registry.`"""

    def __init__(self, reference: Reference, environ: Mapping[str, str]) -> None:
        self._reference = reference
        self._environ = environ
        self._login: RegistryLogin | None = None
        self._has_login = False

    def manifest(self) -> tuple[bytes, str]:
        """Return the manifest that the reference names, and its digest."""
        wanted = self._reference.digest
        with self._repository() as repository:
            _, answer = repository.get_manifest_and_response(wanted or self._reference.tag)
        digest = digest_of(answer.content)
        if wanted and digest != wanted:
            raise self._mismatch(wanted)
        return answer.content, digest

    def download(self, digest: str) -> Iterator[bytes]:
        """Yield the content of a blob. Raises RefusedError `registry.digest_mismatch` at the end: store nothing that
        was not read to the end."""
        with self._repository() as repository:
            chunks = repository.pull_blob(digest, chunk_size=_CHUNK)  # checks the digest
            yield from cast(Iterable[bytes], chunks)  # with a size only on request

    def push(self, files: Sequence[PushedFile], annotations: Mapping[str, str], *, overwrite: bool) -> str:
        """Upload the files, then the manifest under the reference's tag; return the manifest's digest.

        Raises RefusedError `registry.tag_exists` if the tag has other content, unless `overwrite`.
        """
        manifest = manifest_of(files, annotations)
        digest = digest_of(manifest)
        with self._repository() as repository:
            if not overwrite:
                self._refuse_other_content(repository, digest)
            for each in files:
                repository.push_blob(str(each.path))
            repository.push_blob(data=iter([EMPTY_CONFIG]), digest=digest_of(EMPTY_CONFIG))
            repository.set_manifest(self._reference.tag, manifest.decode())
        return digest

    def _refuse_other_content(self, repository: dxf.DXF, digest: str) -> None:
        import requests

        try:
            _, answer = repository.get_manifest_and_response(self._reference.tag)
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == 404:
                return
            raise
        if digest_of(answer.content) != digest:
            raise RefusedError(
                "registry.tag_exists",
                f"{self._reference} exists and has other content",
                hint="Push another tag: lock files refuse a tag that has moved. To overwrite it, use --force.",
            )

    @contextlib.contextmanager
    def _repository(self) -> Iterator[dxf.DXF]:
        """A connection; within the block, what the client raises becomes an error for the user."""
        import dxf  # with requests, too slow to import for commands that pull nothing
        import requests

        registry = self._reference.registry
        host = _API_HOSTS.get(registry, registry)
        is_plain = self._reference.is_on_loopback and not _speaks_tls(host)
        repository = dxf.DXF(
            host, self._reference.repository, auth=self._authenticate, insecure=is_plain, timeout=_TIMEOUT_S
        )
        try:
            with repository:
                # The session of this block has no public name.
                _restrict(cast("requests.Session", repository._sessions[0]))
                yield repository
        except (dxf.exceptions.DXFError, requests.RequestException, KeyError, ValueError) as error:
            raise self._explained(error) from None

    def _authenticate(self, repository: dxf.DXFBase, answer: requests.Response) -> None:
        """Answer a challenge (called by the client after a 401)."""
        if not self._has_login:
            self._login, self._has_login = login_of(self._reference.registry, self._environ), True
        login = self._login
        if login is None:
            repository.authenticate(response=answer)
        elif login.identity_token:
            repository.token = _exchanged(login.identity_token, answer)
        else:
            repository.authenticate(login.username, login.password, response=answer)

    def _explained(self, error: Exception) -> DStreamError:
        import dxf.exceptions
        import requests

        reference, registry = self._reference, self._reference.registry
        answer = error.response if isinstance(error, requests.HTTPError) else None
        status = answer.status_code if answer is not None else 0
        if isinstance(error, dxf.exceptions.DXFDigestMismatchError):
            return self._mismatch(error.expected)
        if isinstance(error, dxf.exceptions.DXFAuthInsecureError):
            return AuthError(
                "registry.plaintext_login",
                f"{registry} asks for a login over plain HTTP",
                hint="Serve the registry with TLS. DStream sends no passwords over plain HTTP.",
            )
        if isinstance(error, dxf.exceptions.DXFUnauthorizedError) or status in (401, 403):
            signed_in = f"The login for {registry} lacks access" if self._login else f"There is no login for {registry}"
            return AuthError(
                "registry.unauthorized",
                f"{registry} denies access to {reference.repository}",
                hint=f"{signed_in}. Sign in with docker login {registry}, and check the name.",
            )
        if status == 404:
            return ConfigError(
                "registry.not_found",
                f"{reference} does not exist",
                hint=f"Check the name and the tag, and whether {registry} requires a login.",
            )
        if isinstance(error, requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError):
            return UnreachableError(
                "registry.unreachable",
                f"cannot reach {_host(error) or registry}: {_reason(error)}",
                hint="Check the network and the proxy settings. A provider that is installed needs no registry.",
            )
        return UnreachableError(
            "registry.failed",
            f"{registry} answers {status}" if status else f"{registry} sends an invalid answer",
            hint="Retry later.",
        )

    def _mismatch(self, wanted: str) -> RefusedError:
        return RefusedError(
            "registry.digest_mismatch",
            f"{self._reference.registry} sent other content than {self._reference.repository}@{wanted}",
            hint="Nothing was installed. The registry, or a proxy before it, is broken or changes what it sends.",
        )


def _restrict(session: requests.Session) -> None:
    """Allow plain HTTP on this machine only, also in redirects, and without the proxy that is set for HTTP; and keep
    requests from replacing our logins by those in ~/.netrc."""
    import requests

    class LoopbackAdapter(requests.adapters.HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
            if not is_loopback(urlsplit(request.url or "").hostname or ""):
                raise requests.exceptions.InvalidSchema("plain HTTP")
            return super().send(request, *args, **{**options, "proxies": {}})

    session.mount("http://", LoopbackAdapter())
    session.auth = lambda request: request


def _exchanged(identity_token: str, answer: requests.Response) -> str:
    """Return an access token for an identity token.

    Distribution, "Authenticate proxy with central authorization service", oauth.md: POST with grant_type refresh_token.
    Raises what the client raises.
    """
    import dxf.exceptions
    import requests
    import www_authenticate

    challenge: Mapping[str, Any] = www_authenticate.parse(answer.headers["www-authenticate"])
    if "bearer" not in challenge:
        raise dxf.exceptions.DXFUnauthorizedError
    realm, wanted = challenge["bearer"]["realm"], challenge["bearer"]
    if urlsplit(realm).scheme != "https":
        raise dxf.exceptions.DXFAuthInsecureError
    form = {"grant_type": "refresh_token", "client_id": _CLIENT, "refresh_token": identity_token}
    form |= {name: wanted[name] for name in ("service", "scope") if name in wanted}
    done = requests.post(realm, data=form, timeout=_TIMEOUT_S, allow_redirects=False)
    if done.status_code in (400, 401, 403):  # an expired token: RFC 6749, 5.2
        raise dxf.exceptions.DXFUnauthorizedError
    done.raise_for_status()
    token: str = done.json()["access_token"]
    return token


def _speaks_tls(host: str) -> bool:
    """Whether a loopback address answers a TLS handshake; also if nothing listens there."""
    name, _, port = host.partition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # only probed: requests verifies
    try:
        with (
            socket.create_connection((name, int(port or 443)), timeout=_TIMEOUT_S) as connection,
            context.wrap_socket(connection, server_hostname=name),
        ):
            return True
    except ssl.SSLError:
        return False
    except OSError:
        return True


def _host(error: requests.RequestException) -> str:
    """The host that does not answer: of a redirect, it is not the registry's."""
    return urlsplit(error.request.url or "").hostname or "" if error.request is not None else ""


def _reason(error: Exception) -> str:
    """What the operating system or TLS says, which contains no URL."""
    import requests

    if isinstance(error, requests.Timeout):
        return f"no answer within {_TIMEOUT_S:g} s"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason or 'unknown reason'}"
        if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return "the connection failed"
