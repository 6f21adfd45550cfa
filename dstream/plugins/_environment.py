"""The environment of providers that need no credentials, or that an untrusted file names."""

from __future__ import annotations

from collections.abc import Mapping

_NAMES = frozenset(
    {
        *("HOME", "LANG", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"),
        *("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "all_proxy", "http_proxy", "https_proxy", "no_proxy"),
        *("CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"),
        *("DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH", "ODBCINI", "ODBCINSTINI", "ODBCSYSINI"),
        *("DOTNET_ROOT", "JAVA_HOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
    }
)
_PREFIXES = ("ARM_", "AZURE_", "DSTREAM_", "IDENTITY_", "LC_", "MSI_", "PULUMI_", "XDG_")
"""IDENTITY_ and MSI_ are how Azure offers a managed identity."""
_MORE = "DSTREAM_PASS_ENV"
_VARIABLE_VALUES = "DSTREAM_VAR_"
"""The host reads these; a provider gets what the file makes of them."""


def limited_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a provider needs to find its files, the network and its credentials, and the variables that
    DSTREAM_PASS_ENV names, separated by commas."""
    names = _NAMES | {name.strip() for name in environ.get(_MORE, "").split(",")}
    return {
        name: value
        for name, value in environ.items()
        if name in names or (name.startswith(_PREFIXES) and not name.startswith(_VARIABLE_VALUES))
    }
