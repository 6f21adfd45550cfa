"""Headless Chromium through its DevTools protocol: what tools/install-chromium installs, or what is in PATH."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from websocket import WebSocket, create_connection

from tests.running import wait_until

INSTALLED = Path.home() / ".dstream/chromium"
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def executable() -> str | None:
    own = INSTALLED / "usr/lib/chromium/chromium-headless-shell"
    return str(own) if own.exists() else next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One page (https://chromedevtools.github.io/devtools-protocol). It keeps the events that it receives."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._last_id = 0
        self._events: list[dict[str, Any]] = []
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last_id += 1
        self._socket.send(json.dumps({"id": self._last_id, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._last_id:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._events.append(message)

    def open(self, url: str, width: int = 1280) -> None:
        self.resize(width)
        self.ask("Page.navigate", url=url)

    def resize(self, width: int) -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, file: Path) -> None:
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def requested(self) -> set[str]:
        """The URLs of all requests so far."""
        self.value("0")
        sent = [each["params"] for each in self._events if each["method"] == "Network.requestWillBeSent"]
        return {each["request"]["url"] for each in sent}

    def complaints(self) -> list[str]:
        """What the console would show as errors: exceptions, and violations of the content security policy."""
        self.value("0")
        logged = [each["params"]["entry"] for each in self._events if each["method"] == "Log.entryAdded"]
        thrown = [str(each["params"]) for each in self._events if each["method"] == "Runtime.exceptionThrown"]
        return thrown + [each["text"] for each in logged if each["level"] == "error"]


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A browser with one empty page. `folder`: for its profile."""
    program = executable()
    assert program is not None
    libraries = sorted({str(file.parent) for file in INSTALLED.glob("usr/lib/*-linux-*/**/*.so*")})
    # Tests run as root in containers, where its own sandbox does not work.
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0")
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [program, *flags, f"--user-data-dir={folder}", "about:blank"],
            env={**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        port_file = folder / "DevToolsActivePort"
        wait_until(lambda: port_file.exists() and "\n" in port_file.read_text(), "Chromium listens")
        address = f"127.0.0.1:{port_file.read_text().splitlines()[0]}"
        with urlopen(Request(f"http://{address}/json/new?about:blank", method="PUT"), timeout=60) as answer:
            url = json.load(answer)["webSocketDebuggerUrl"]
        socket = create_connection(url, timeout=60, suppress_origin=True)
        yield Page(socket)
        socket.close()
    finally:
        process.kill()
        process.wait()
