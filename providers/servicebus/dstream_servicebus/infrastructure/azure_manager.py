"""Requests to Azure Resource Manager that azure-native has no function for, with azure-native's credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from azure.core import PipelineClient
from azure.core.pipeline.policies import HeadersPolicy, RetryPolicy
from azure.core.rest import HttpRequest
from dstream_stacks.azure_cloud import manager_endpoint

from dstream.infra import RunProgram

SERVICE_BUS_API = "2024-01-01"


class AzureManager:
    """One connection. Methods raise AzureError; LookupError, TypeError or ValueError for an unexpected response."""

    def __init__(self, endpoint: str, token: str) -> None:
        self._client: PipelineClient[Any, Any] = PipelineClient(
            endpoint,
            policies=[HeadersPolicy({"Authorization": f"Bearer {token}"}), RetryPolicy(retry_total=3)],
            connection_timeout=10,
            read_timeout=30,
        )
        self._endpoint = endpoint

    def list(self, resource_id: str, version: str = SERVICE_BUS_API) -> Iterator[dict[str, Any]]:
        """Yield the items of all pages."""
        url = self._url(resource_id, version)
        while url:
            page = self._send("GET", url)
            yield from page["value"]
            url = page.get("nextLink") or ""
            if url and not url.startswith(f"{self._endpoint}/"):
                raise ValueError(f"the next page is on another host: {url}")  # which must not get the token

    def put(self, resource_id: str, content: Mapping[str, Any]) -> None:
        self._send("PUT", self._url(resource_id, SERVICE_BUS_API), content)

    def _url(self, resource_id: str, version: str) -> str:
        return f"{self._endpoint}{resource_id}?api-version={version}"

    def _send(self, method: str, url: str, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
        response = self._client.send_request(HttpRequest(method, url, json=content))
        response.raise_for_status()
        found: dict[str, Any] = response.json()
        return found


def connected(run: RunProgram, environ: Mapping[str, str]) -> AzureManager:
    """Return a connection. Raises whatever keeps azure-native from signing in, or the metadata host from answering."""
    return AzureManager(manager_endpoint(environ), run(_client_token))


def _client_token() -> str:
    from pulumi_azure_native import authorization

    token: str = authorization.get_client_token().token
    return token
