"""`python -m dstream_sandbox.sqlserver` runs the sandbox's SQL Server as its own process.

Prints one JSON line on stdout once it accepts clients. Exits on SIGTERM or SIGINT, and when the process that started it
dies. With `--replay-reads`, each SELECT runs once and its bytes are then served from memory, even if the data changes.
This is for benchmarks, which would otherwise measure this server instead of the client.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
from pathlib import Path

import click

from dstream_sandbox.control_access import TOKEN_FILE, ensure_token
from dstream_sandbox.sqlserver.engine.platforms import PLATFORMS, SQL_SERVER

_PR_SET_PDEATHSIG = 1  # prctl(2)


@click.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), required=True, help="Data folder.")
@click.option("--port", type=int, default=0, help="Port on 127.0.0.1; by default, a free port.")
@click.option("--user", default="sa", show_default=True, help="The administrator's login.")
@click.option("--password-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True)
@click.option("--cert", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True, help="PEM file.")
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True, help="PEM file.")
@click.option("--control-token-file", type=click.Path(dir_okay=False, path_type=Path), help="Created if missing.")
@click.option("--capture-delay", type=float, default=0.0, help="Delay in seconds between COMMIT and the change tables.")
@click.option("--platform", type=click.Choice(sorted(PLATFORMS)), default=SQL_SERVER.name, help="What to behave like.")
@click.option("--replay-reads", is_flag=True, help="For benchmarks: run each SELECT once, then replay its bytes.")
def main(
    data: Path,
    port: int,
    user: str,
    password_file: Path,
    cert: Path,
    key: Path,
    control_token_file: Path | None,
    capture_delay: float,
    platform: str,
    replay_reads: bool,
) -> None:
    """Serve SQL Server clients on 127.0.0.1 until SIGTERM or SIGINT."""
    from dstream_sandbox.sqlserver.engine import open_engine
    from dstream_sandbox.sqlserver.server import SqlServer

    _die_with_parent()
    os.umask(0o077)
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Block the signals here, and so in every thread started later: only the main thread receives them, with sigwait.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    password = password_file.read_text(encoding="utf-8").rstrip("\r\n")
    engine = open_engine(
        data, user=user, password=password, capture_delay_s=capture_delay, platform=PLATFORMS[platform]
    )
    try:
        token = ensure_token(control_token_file or data / TOKEN_FILE)
        server = SqlServer(engine, certificate=cert, key=key, port=port, replay_reads=replay_reads, control_token=token)
        ready = {"ready": True, "port": server.port, "pid": os.getpid()}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        signal.sigwait(signals)
        server.close()
    finally:
        engine.close()


def _die_with_parent() -> None:
    """Kill this process when the process that started it dies (prctl PR_SET_PDEATHSIG). Linux only."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the process that started this server has exited")


if __name__ == "__main__":
    main()
