"""Prometheus and its tool: what tools/install-prometheus installs, or what is in PATH."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

INSTALLED = Path.home() / ".dstream/prometheus/usr/bin"


def executable(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=INSTALLED)


class Prometheus:
    """A server on a free port that scrapes one address and evaluates rules."""

    def __init__(self, base: str) -> None:
        self._base = base

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query: `metric` and `value`."""
        with urlopen(f"{self._base}/api/v1/query?{urlencode({'query': expression})}", timeout=60) as answer:
            samples: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return samples

    def firing(self) -> set[tuple[str, str]]:
        """The alerts that fire, with their tasks."""
        return {
            (each["metric"]["alertname"], each["metric"].get("task", ""))
            for each in self.query('ALERTS{alertstate="firing"}')
        }


@contextmanager
def scraping(target: str, rules: str, folder: Path, every: str = "250ms") -> Iterator[Prometheus]:
    """Start a server that scrapes `target` (HOST:PORT) as the job `dstream` and evaluates the rules, `every` so often."""
    (folder / "rules.yml").write_text(rules)
    config = {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "dstream", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    path = executable("prometheus")
    assert path is not None
    process = subprocess.Popen(
        [path, "--config.file=prometheus.yml", "--web.listen-address=127.0.0.1:0", "--storage.tsdb.path=data"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        address = next(filter(None, (re.search(r"Listening on.* address=(\S+)", line) for line in process.stderr)))
        next(line for line in process.stderr if "Server is ready" in line)
        # It writes only a few more lines, which the pipe holds.
        yield Prometheus(f"http://{address[1]}")
    finally:
        process.kill()
        process.communicate()
