"""The page of `dstream run --metrics` in headless Chromium, next to a throttled task and one that fails."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.e2e.chromium import Page, browser, executable
from tests.running import DStream, wait_until

HELLO = '{"dstream":"hello","protocol":1,"role":"input","name":"%s","version":"1","capabilities":["checkpoint","ack"]}'
SLOW = f"""#!/bin/sh
echo '{HELLO % "slow"}'
read -r line_1; read -r welcome
echo '{{"status":"ready"}}'
echo '{{"dstream":"heartbeat","phase":"throttled","lag_ms":2500,"reason":"the <b>service</b> is busy"}}'
echo '{{"dstream":"metric","name":"rows_read","kind":"counter","value":5,"labels":{{"table":"<img src=//evil.example/x>"}}}}'
while read -r line; do case "$line" in *'"stop"'*) echo '{{"dstream":"end","seq":0}}';; esac; done
"""
FAILING = f"""#!/bin/sh
echo '{HELLO % "failing"}'
read -r line_1; read -r welcome
echo '{{"dstream":"error","code":"failing.permission","kind":"config","message":"no permission"}}'
exit 1
"""
TASK = 'task "%s" {\n  input {\n    %s\n  }\n  output {\n    provider = "console"\n    config {}\n  }\n}\n'


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("project")
    for name, script in {"slow": SLOW, "failing": FAILING}.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    tasks = {"moving": 'provider = "counter"\n    config { interval = "5ms" }'}
    tasks |= {name: f'provider_path = "./{name}"' for name in ("slow", "failing")}
    (folder / "dstream.hcl").write_text("".join(TASK % each for each in tasks.items()))
    with DStream(folder).running("run", "--all", "--metrics", "127.0.0.1:0", "--log-format", "json") as run:
        run.says("metrics.listening")
        found = re.search(r"http://127\.0\.0\.1:\d+/", run.stderr)
        assert found
        yield found[0]


@pytest.fixture(scope="module")
def page(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if executable() is None:
        pytest.skip("Chromium is not installed; `make tools` installs it on Debian")
    with browser(tmp_path_factory.mktemp("chromium")) as page:
        page.open(url)
        yield page


def text_of(page: Page, task: str) -> str:
    return str(page.value(f"document.getElementById('task-{task}')?.innerText ?? ''"))


def phase_of(page: Page, task: str) -> str:
    return str(page.value(f"document.querySelector('#task-{task} .phase')?.innerText"))


def acknowledged(page: Page) -> int:
    found = re.search(r"acknowledged\s+([\d,]+)", text_of(page, "moving"))
    return int(found[1].replace(",", "")) if found else 0


def test_the_page_shows_moving_figures_a_throttled_task_and_a_failed_one(page: Page, url: str) -> None:
    first = wait_until(lambda: acknowledged(page), "rows")
    wait_until(lambda: acknowledged(page) > first, "the figures move")
    wait_until(lambda: phase_of(page, "slow") == "throttled", "the throttled task")
    wait_until(lambda: phase_of(page, "failing") == "failed", "the failed task")
    assert "failing.permission: no permission" in text_of(page, "failing")
    assert "the <b>service</b> is busy" in text_of(page, "slow"), "text of others stays text"
    assert "<img src=//evil.example/x>" in text_of(page, "slow")
    wait_until(
        lambda: (
            len(str(page.value("document.querySelector('#task-moving polyline').getAttribute('points')")).split()) > 1
        ),
        "the plot has a line",
    )
    if folder := os.environ.get("SCREENSHOTS"):
        for width in (1280, 400):
            page.resize(width)
            page.screenshot(Path(folder) / f"page-{width}.png")
    assert page.requested() <= {url, f"{url}figures.json", "data:,"}, "no request leaves the host"
    assert page.complaints() == []


def test_no_page_is_wider_than_a_small_screen(page: Page) -> None:
    page.resize(400)
    wait_until(lambda: text_of(page, "slow"), "the page")
    assert page.value("document.documentElement.scrollWidth") <= 400


def test_the_policy_allows_no_other_host_and_no_foreign_script(url: str) -> None:
    with urlopen(url, timeout=60) as answer:
        policy, body = answer.headers["Content-Security-Policy"], answer.read().decode()
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|unsafe|\*", policy)
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", body) == ["data:,", "/metrics"]
