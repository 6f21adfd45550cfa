"""The address of Azure Resource Manager, chosen as azure-native chooses it.

Source: pulumi-azure-native, provider/pkg/azure/cloud/cloud.go and metadata/client.go.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.request import urlopen

_PUBLIC = "https://management.azure.com"
_CLOUDS = {
    "china": "https://management.chinacloudapi.cn",
    "azurechinacloud": "https://management.chinacloudapi.cn",
    **dict.fromkeys(
        ("usgov", "usgovernment", "azureusgovernment", "azureusgovernmentcloud", "usgovernmentl4"),
        "https://management.usgovcloudapi.net",
    ),
}
_TIMEOUT_S = 10.0


def manager_endpoint(environ: Mapping[str, str]) -> str:
    """Return the address without a slash at the end. Raises OSError or ValueError if the metadata host does not answer
    as documented.
    """
    host = environ.get("ARM_METADATA_HOSTNAME")
    if not host:
        cloud = environ.get("ARM_ENVIRONMENT") or environ.get("AZURE_ENVIRONMENT") or ""
        return _CLOUDS.get(cloud.lower(), _PUBLIC)
    base = host if "://" in host else f"https://{host}"
    with urlopen(f"{base}/metadata/endpoints?api-version=2022-09-01", timeout=_TIMEOUT_S) as response:
        found = json.loads(response.read().decode("utf-8-sig"))
    endpoint = found.get("resourceManager") if isinstance(found, dict) else None
    if not isinstance(endpoint, str):
        raise ValueError(f"{base} does not name Azure Resource Manager")
    return endpoint.rstrip("/")
