"""Which lines of a configuration contain a secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dstream.cli.lifecycle.literal_secrets import literal_secrets

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    "line",
    [
        'password = "hunter2"',
        'client_secret = "hunter2"',
        'hash_key = "5f2d"',
        'env = { API_TOKEN = "hunter2" }',
        'db_connection_string = "Server=db;Password=hunter2"',
        'connection_string = "Endpoint=sb://sb/;SharedAccessKeyName=a;SharedAccessKey=abcd="',
        'url = "https://st.blob.core.windows.net/c?sv=2024&sig=abcd"',
        'proxy = "http://user:hunter2@proxy:3128"',
        "# AccountKey=hunter2",
        "-----BEGIN PRIVATE KEY-----",
    ],
)
def test_a_secret_is_found(line: str) -> None:
    assert list(literal_secrets(f"a = 1\n  {line}\n")) == [2]


@pytest.mark.parametrize(
    "line",
    [
        'db_connection_string = env("MSSQL_CONNECTION_STRING")',
        'db_connection_string = "Server=db;Database=Orders;Encrypt=yes"',
        'db_connection_string = "Server=db;UID=app;Password=${env("PASSWORD")};Encrypt=yes"',
        "password = var.password",
        'password = "${var.password}"',
        'credential = "managed_identity"',
        'connection = "stack"',
        'output_secret = "azurekeyvault://kv-retail/bus"',
        'secrets = { MSSQL_CONNECTION_STRING = "azurekeyvault://kv-retail/mssql" }',
        'API_TOKEN = sensitive(env("MY_API_TOKEN", ""))',
        'partition_key = "{data.CustomerId}"',
        'password = ""',
    ],
)
def test_what_is_read_elsewhere_is_no_secret(line: str) -> None:
    assert list(literal_secrets(line)) == []


def test_a_secret_that_the_configuration_evaluates_to_is_found_under_any_name() -> None:
    text = 'variable "pin" {\n  default   = "4711-0815-42"\n  sensitive = true\n}\n'
    assert list(literal_secrets(text)) == []
    assert list(literal_secrets(text, ["4711-0815-42"])) == [2]


def test_the_examples_of_the_documentation_contain_none() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    texts = [text for page in pages for text in re.findall(r"```hcl\n(.*?)```", page.read_text(), re.DOTALL)]
    texts += [file.read_text() for file in (ROOT / "examples").rglob("*.hcl")]
    found = [text.splitlines()[number - 1] for text in texts for number in literal_secrets(text)]
    assert [line for line in found if "PWD=.." not in line] == []
