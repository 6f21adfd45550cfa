"""`python -m dstream_sandbox.sqlserver` as a child process, and connections to it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pymssql
import pyodbc

from tests.integration.sandbox_tds.conftest import odbc_driver
from tests.integration.sandbox_tds.scripted_engine import PASSWORD


@dataclass
class ServerProcess:
    """A running server with its own folder."""

    process: subprocess.Popen[str]
    port: int

    @classmethod
    def start(cls, folder: Path, certificate: tuple[Path, Path], *options: str) -> ServerProcess:
        """Start a server; return once it accepts clients."""
        password = folder / "password"
        password.write_text(PASSWORD + "\n")
        command = [sys.executable, "-m", "dstream_sandbox.sqlserver", "--data", str(folder / "data")]
        command += ["--password-file", str(password), "--cert", str(certificate[0]), "--key", str(certificate[1])]
        process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert (ready["ready"], ready["pid"]) == (True, process.pid)
        return cls(process, ready["port"])

    def odbc(self, database: str = "master", *, autocommit: bool = True) -> pyodbc.Connection:
        """Connect with Microsoft's driver."""
        return pyodbc.connect(
            f"DRIVER={odbc_driver()};SERVER=127.0.0.1,{self.port};DATABASE={database};UID=sa;PWD={PASSWORD};"
            "Encrypt=yes;TrustServerCertificate=yes",
            timeout=60,
            autocommit=autocommit,
        )

    def freetds(self, database: str) -> pymssql.Connection:
        """Connect with FreeTDS."""
        return pymssql.connect(
            server="127.0.0.1", port=str(self.port), user="sa", password=PASSWORD, database=database, autocommit=True
        )

    def stop(self) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.terminate()
        code = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code
