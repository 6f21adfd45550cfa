"""The three forms of a connection string, with a password that needs every kind of quoting, against the real driver."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.integration.mssql_cdc.source_server import SourceDatabase, read

PASSWORD = "A;b}c{d=e 'f\" é@/:9"


@pytest.fixture
def login(database: SourceDatabase) -> str:
    name = f"odd_{database.name}"
    database.run(f"CREATE LOGIN [{name}] WITH PASSWORD = N'{PASSWORD.replace(chr(39), 2 * chr(39))}'")
    database.run(f"CREATE USER [{name}] FOR LOGIN [{name}]")
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    database.capture("dbo.Persons")
    database.run(f"GRANT SELECT ON SCHEMA::cdc TO [{name}]")
    database.run(f"GRANT SELECT ON SCHEMA::dbo TO [{name}]")
    database.run("INSERT INTO dbo.Persons VALUES (1)")
    return name


@pytest.mark.parametrize("form", ["odbc", "ado", "url"])
def test_each_form_of_a_connection_string_connects(database: SourceDatabase, login: str, form: str) -> None:
    host, port, name = "127.0.0.1", database.server.port, database.name
    in_braces, in_quotes = PASSWORD.replace("}", "}}"), PASSWORD.replace('"', '""')
    text = {
        "odbc": f"Server=tcp:{host},{port};Database={name};UID={login};PWD={{{in_braces}}};TrustServerCertificate=yes",
        "ado": f'server={host};port={port};user id={login};password="{in_quotes}";database={name};encrypt=disable',
        "url": f"sqlserver://{login}:{quote(PASSWORD, safe='')}@{host}:{port}?database={name}&TrustServerCertificate=true",
    }[form]
    config = {"db_connection_string": text, "tables": ["Persons"], "start_from": "earliest"}
    assert read(config).rows == [("Insert", {"Id": 1})]


def test_a_reader_with_read_only_intent_connects(database: SourceDatabase, login: str) -> None:
    assert read(database.config("Persons", read_only_intent=True)).rows == [("Insert", {"Id": 1})]
