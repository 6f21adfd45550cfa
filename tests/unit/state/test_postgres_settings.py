"""What a connection to PostgreSQL is opened with."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from dstream.errors import UnreachableError
from dstream.state._postgres import PostgresDatabase

OWN = "-c statement_timeout=10s -c lock_timeout=5s -c synchronous_commit=on"


@pytest.mark.parametrize(
    ("url", "environment", "options"),
    [
        ("postgresql://localhost/d", "", OWN),
        ("postgresql://localhost/d?options=-c%20search_path%3Ds", "-c search_path=t", f"{OWN} -c search_path=s"),
        ("postgresql://localhost/d", "-c search_path=t", f"{OWN} -c search_path=t"),
    ],
)
def test_the_options_of_the_user_come_after_dstreams_own(
    url: str, environment: str, options: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with libpq, those in the URL take precedence over PGOPTIONS. None turns the limits and the durability off by
    leaving them out."""
    given: dict[str, Any] = {}

    def connect(**settings: Any) -> Any:
        given.update(settings)
        raise psycopg.OperationalError

    monkeypatch.setenv("PGOPTIONS", environment)
    monkeypatch.setattr(psycopg, "connect", connect)
    with pytest.raises(UnreachableError), PostgresDatabase(url, allow_plaintext=False).cursor():
        pass
    assert given["options"] == options
    assert (given["connect_timeout"], given["dbname"]) == (5, "d")
