"""The connection strings that the Azure portal shows for a database, pasted as they are or with real values."""

from __future__ import annotations

import pytest
from dstream_mssql_cdc.server.connection_string import parse_connection_string

from dstream.sdk.errors import ConfigError

HOST, PASSWORD = "shop.database.windows.net", "hunter2"
ADO = f"Server=tcp:{HOST},1433;Initial Catalog=Sales;Persist Security Info=False;"
ADO_END = "MultipleActiveResultSets=False;Encrypt=True;TrustServerCertificate=False;Connection Timeout=30;"
ODBC = f"Driver={{ODBC Driver 18 for SQL Server}};Server=tcp:{HOST},1433;Database=Sales;"
ODBC_END = "Encrypt=yes;TrustServerCertificate=no;Connection Timeout=30;"
JDBC = f"jdbc:sqlserver://{HOST}:1433;database=Sales;"
JDBC_END = "encrypt=true;trustServerCertificate=false;hostNameInCertificate=*.database.windows.net;loginTimeout=30;"

PHP = f'''// PHP Data Objects(PDO) Sample Code:
try {{
    $conn = new PDO("sqlsrv:server = tcp:{HOST},1433; Database = Sales", "ada", "{PASSWORD}");
}}'''
PHP_EXTENSION = f'$connectionInfo = array("UID" => "ada", "pwd" => "{PASSWORD}", "Database" => "Sales");'
GO = 'connString := fmt.Sprintf("server=%s;user id=%s;password=%s;port=%d;database=%s;", server, user, pw, port, db)'

SQL_LOGIN = {"UID": "ada", "PWD": PASSWORD}


@pytest.mark.parametrize(
    ("text", "login"),
    [
        (f"{ADO}User ID=ada;Password={PASSWORD};{ADO_END}", SQL_LOGIN),
        (
            f'{ADO}User ID=ada;Password={PASSWORD};{ADO_END}Authentication="Active Directory Password";',
            {**SQL_LOGIN, "Authentication": "ActiveDirectoryPassword"},
        ),
        (
            f'{ADO}{ADO_END}Authentication="Active Directory Integrated";',
            {"Authentication": "ActiveDirectoryIntegrated"},
        ),
        (
            f'{ADO}{ADO_END}Authentication="Active Directory Managed Identity";',
            {"Authentication": "ActiveDirectoryMsi"},
        ),
        (
            f'{ADO}User ID=ada;Password={PASSWORD};{ADO_END}Authentication="Active Directory Service Principal";',
            {**SQL_LOGIN, "Authentication": "ActiveDirectoryServicePrincipal"},
        ),
        (f"{ODBC}Uid=ada;Pwd={{{PASSWORD}}};{ODBC_END}", SQL_LOGIN),
        (
            f"{ODBC}Uid=ada;Pwd={{{PASSWORD}}};{ODBC_END}Authentication=ActiveDirectoryPassword",
            {**SQL_LOGIN, "Authentication": "ActiveDirectoryPassword"},
        ),
        (f"{ODBC}{ODBC_END}Authentication=ActiveDirectoryIntegrated", {"Authentication": "ActiveDirectoryIntegrated"}),
        (f"{JDBC}user=ada;password={{{PASSWORD}}};{JDBC_END}", SQL_LOGIN),
        (
            f"{JDBC}user=ada;password={PASSWORD};{JDBC_END}authentication=ActiveDirectoryPassword",
            {**SQL_LOGIN, "Authentication": "ActiveDirectoryPassword"},
        ),
        (f"{JDBC}{JDBC_END}authentication=ActiveDirectoryIntegrated", {"Authentication": "ActiveDirectoryIntegrated"}),
        (
            f"sqlserver://ada:{PASSWORD}@{HOST}:1433?database=Sales&encrypt=true&trustservercertificate=false"
            "&connection+timeout=30",
            SQL_LOGIN,
        ),
        (
            f"server={HOST};user id=ada;password={PASSWORD};port=1433;database=Sales;encrypt=true;"
            "TrustServerCertificate=false;dial timeout=30",
            SQL_LOGIN,
        ),
    ],
)
def test_a_string_of_the_portal_is_accepted(text: str, login: dict[str, str]) -> None:
    settings = parse_connection_string(text)
    found = dict(settings.keywords)
    found.pop("DRIVER", None)
    assert found.pop("SERVER").removeprefix("tcp:") == f"{HOST},1433"
    assert found == {"DATABASE": "Sales", "Encrypt": "yes", "TrustServerCertificate": "no", **login}
    assert settings.login_timeout_s == 30


@pytest.mark.parametrize(
    ("text", "reason", "fix"),
    [
        (
            f'{ADO}{ADO_END}Authentication="Active Directory Default";',
            "does not support ActiveDirectoryDefault",
            'credential = "default"',
        ),
        (
            f"{JDBC}{JDBC_END}authentication=ActiveDirectoryDefault",
            "does not support ActiveDirectoryDefault",
            'credential = "default"',
        ),
        (
            f'{ADO}{ADO_END}Authentication="Active Directory Interactive";',
            "needs a person to sign in",
            "ActiveDirectoryMsi",
        ),
        (
            f"{ODBC}{ODBC_END}Authentication=ActiveDirectoryMsl",
            "value of Authentication is unknown",
            "ActiveDirectoryMsi",
        ),
        (f"{ADO}User ID=ada;Password={{your_password}};{ADO_END}", "PWD in the connection string is still", "Replace"),
        (f"{ODBC}Uid=ada;Pwd={{your_password_here}};{ODBC_END}", "PWD in the connection string is still", "Replace"),
        (f"{JDBC}user={{your_user_name}};password=x;{JDBC_END}", "UID in the connection string is still", "Replace"),
        (f"{ADO}User ID={{your_user@domain}};Password=x;{ADO_END}", "UID in the connection string is still", "Replace"),
        (PHP, "program code", "ODBC"),
        (PHP_EXTENSION, "program code", "ODBC"),
        (f"sqlsrv:server = tcp:{HOST},1433; Database = Sales", "program code", "ODBC"),
        (GO, "program code", "ODBC"),
    ],
)
def test_a_string_that_the_driver_cannot_use_is_refused_with_the_fix(text: str, reason: str, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_connection_string(text)
    assert reason in caught.value.message
    assert fix in caught.value.hint
    assert PASSWORD not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("jdbc:sqlserver://db;databaseName=S", "db"),
        ("jdbc:sqlserver://db\\INST;databaseName=S", "db\\INST"),
        ("jdbc:sqlserver://db\\INST:1500;databaseName=S", "db\\INST,1500"),
        ("JDBC:sqlserver://;serverName=db;portNumber=1500;databaseName=S", "db,1500"),
    ],
)
def test_every_form_of_a_jdbc_address_is_accepted(text: str, server: str) -> None:
    assert parse_connection_string(text).get("SERVER") == server
