"""Stands in for GitHub, GitLab and Azure DevOps: comments and issues, as their APIs and GitHub's `gh` see them.

`python forge.py FOLDER ARGUMENTS..` is `gh`; `Forge.serve` answers the other two over HTTP.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_PER_REQUEST = 1000
"""GitHub's ids of comments are unique among all pull requests."""
_BOT = 7
"""The account of the pipelines."""


class Forge:
    """The comments of pull requests, the issues, and the runs with their artifacts, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def comments(self, number: int) -> list[str]:
        return [each["body"] for each in self.read(f"comments-{number}")]

    @property
    def issues(self) -> list[str]:
        return [each["body"] for each in self.read("issues")]

    def read(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else []

    def write(self, name: str, id_: int | None, *, author: int = _BOT, **fields: Any) -> None:
        """Add an entry, or change the one with this id."""
        entries = self.read(name)
        if id_ is None:
            entries.append({"id": len(entries) + 1, "author": {"id": author}, **fields})
        else:
            entries[id_ - 1].update(fields)
        (self.folder / f"{name}.json").write_text(json.dumps(entries))

    def artifact(self, run: int, name: str) -> Path:
        return self.folder / f"artifact-{run}-{name}"

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Yield the address of the APIs of GitLab and Azure DevOps."""
        handler = type("Handler", (_Handler,), {"forge": self})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            yield f"http://127.0.0.1:{server.server_address[1]}"
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    forge: Forge

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path.startswith("/_apis/connectionData"):
            self._say({"authenticatedUser": {"id": str(_BOT)}})
            return
        if self.path == "/api/v4/user":
            self._say({"id": _BOT})
            return
        name, _ = self._target()
        entries = self.forge.read(name)
        if "/_apis/" in self.path:
            comments = [
                {"id": 1, "content": each["body"], "author": {"id": str(each["author"]["id"])}} for each in entries
            ]
            self._say({"value": [{"id": at, "comments": [comment]} for at, comment in enumerate(comments, 1)]})
        else:
            self._say([{**each, "iid": each["id"]} for each in entries])

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if "/_apis/" in self.path:
            assert self.headers["Authorization"] == "Bearer system-token"
            document = json.loads(sent)
            fields = {"body": document["content"] if "content" in document else document["comments"][0]["content"]}
        else:
            assert self.headers["PRIVATE-TOKEN"] == "gitlab-token"
            given = {name: values[0] for name, values in parse_qs(sent, strict_parsing=True).items()}
            fields = {"body": given.get("body") or given["description"]}
        name, id_ = self._target()
        self.forge.write(name, id_, **fields)
        self._say({})

    def do_PUT(self) -> None:
        self.do_POST()

    def do_PATCH(self) -> None:
        self.do_POST()

    def _target(self) -> tuple[str, int | None]:
        """The list, and the entry in it, of paths such as pullRequests/7/threads/2/comments/1 and issues/3."""
        parts = urlsplit(self.path).path.strip("/").split("/")
        for kind, list_name in (("merge_requests", "notes"), ("pullRequests", "threads"), ("issues", "issues")):
            if kind in parts:
                at = parts.index(list_name) + 1
                id_ = int(parts[at]) if at < len(parts) else None
                return ("issues" if kind == "issues" else f"comments-{parts[parts.index(kind) + 1]}"), id_
        raise AssertionError(self.path)

    def _say(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def gh(forge: Forge, arguments: list[str]) -> str:
    """What `gh` prints; raises for a call that the real one would reject or that the pipelines don't make."""
    given = dict(zip(arguments, [*arguments[1:], ""], strict=True))
    body = Path(given["--body-file"]).read_text() if "--body-file" in given else ""
    match arguments:
        case ["api", "--paginate", path]:
            number = int(path.split("/")[4])
            comments = forge.read(f"comments-{number}")
            return json.dumps(
                [{**each, "id": number * _PER_REQUEST + each["id"], "user": _user(each)} for each in comments]
            )
        case ["api", "-X", "PATCH", path, "-F", field]:
            number, id_ = divmod(int(path.split("/")[-1]), _PER_REQUEST)
            forge.write(f"comments-{number}", id_, body=Path(field.removeprefix("body=@")).read_text())
        case ["pr", "comment", number, *_]:
            forge.write(f"comments-{number}", None, body=body)
        case ["run", "list", *_]:
            runs = [each for each in forge.read("runs") if each["commit"] == given["--commit"] and each["success"]]
            return json.dumps([{"databaseId": each["id"]} for each in reversed(runs)][: int(given["--limit"])])
        case ["run", "download", run, *_]:
            shutil.copytree(forge.artifact(int(run), given["--name"]), given["--dir"], dirs_exist_ok=True)
        case ["issue", "list", *_]:
            return json.dumps([{"number": each["id"]} for each in forge.read("issues")])
        case ["issue", "edit", number, *_]:
            forge.write("issues", int(number), body=body)
        case ["issue", "create", *_]:
            forge.write("issues", None, body=body)
        case _:
            raise ValueError(arguments)
    return ""


def _user(comment: dict[str, Any]) -> dict[str, str]:
    return {"login": "github-actions[bot]" if comment["author"]["id"] == _BOT else "mallory"}


def main() -> int:
    printed = gh(Forge(Path(sys.argv[1])), sys.argv[2:])
    if printed and "--jq" in sys.argv:
        query = ["jq", "--raw-output", sys.argv[sys.argv.index("--jq") + 1]]
        printed = subprocess.run(query, input=printed, capture_output=True, text=True, check=True).stdout
    sys.stdout.write(printed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
