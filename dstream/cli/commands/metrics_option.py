"""The option `--metrics HOST:PORT` of `run`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import click

from dstream.cli.view.progress import RunLog
from dstream.host import Events

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
def serving(where: Address | None, tasks: Sequence[str], log: RunLog) -> Iterator[Callable[[str], Events | None]]:
    """Serve the metrics of these tasks; yield a function from task to event receiver. Raises ConfigError."""
    if where is None:
        yield lambda task: None
        return
    # Imported here because most runs do not need prometheus_client.
    from dstream.telemetry.health import RunsWatch
    from dstream.telemetry.metrics_server import MetricsServer

    runs = RunsWatch(tasks)
    server = MetricsServer(*where, runs)
    server.start()
    try:
        log.log("info", "metrics.listening", url=f"http://{server.address}/metrics")
        yield runs.of
    finally:
        server.close()
