"""The option `--metrics HOST:PORT` of `run`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from dstream.cli.view.progress import RunLog
from dstream.telemetry.health import RunsWatch

Address = tuple[str, int]


def address(context: click.Context, option: click.Parameter, value: str | None) -> Address | None:
    """Parse `127.0.0.1:9100` or `[::1]:9100`; port 0 picks a free port."""
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise click.BadParameter(f'invalid address "{value}"; use HOST:PORT, e.g. 127.0.0.1:9100')
    return host, int(port)


@contextlib.contextmanager
def serving(where: Address | None, runs: RunsWatch, log: RunLog) -> Iterator[None]:
    """Serve the metrics of these runs. Raises ConfigError."""
    if where is None:
        yield
        return
    # Imported here because most runs do not need prometheus_client.
    from dstream.telemetry.metrics_server import MetricsServer

    server = MetricsServer(*where, runs)
    server.start()
    try:
        log.log("info", "metrics.listening", url=f"http://{server.address}/metrics")
        yield
    finally:
        server.close()
