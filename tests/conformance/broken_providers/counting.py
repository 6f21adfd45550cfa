"""A small, conforming input, transform and output; other scripts in this folder each break one rule of them.

Standard library only. `Input` counts to 60 with a checkpoint every three rows; `Output` settles rows immediately.
`Transform` drops every second row.
"""

import json
import os
import sys
import threading

LAST = 60
EVERY = 3


def say(message):
    raw((json.dumps(message, separators=(",", ":")) + "\n").encode())


def raw(data):
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def lines():
    # os.read: a thread waiting in sys.stdin.buffer aborts CPython at exit.
    rest = b""
    while data := os.read(0, 1 << 20):
        *whole, rest = (rest + data).split(b"\n")
        yield from whole


def refuse(role):
    message = f"This is an {role} provider and doesn't support lifecycle commands"
    error = {"code": "provider.no_lifecycle", "kind": "config", "message": message}
    say({"status": "Failed", "message": message, "error": error})
    sys.exit(3)


class Input:
    def run(self):
        self.hello()
        self.lines = lines()
        line_1 = json.loads(next(self.lines, b"null"))
        if line_1 is None:
            return
        if line_1["command"] != "run":
            self.refuse()
        self.max_in_flight = line_1.get("run", {}).get("max_in_flight", 1000)
        self.stopped, self.over, self.changed = False, threading.Event(), threading.Condition()
        self.seq = self.acknowledged = 0
        self.answer(line_1["config"])
        threading.Thread(target=self.listen, daemon=True).start()
        self.stream(self.first(line_1.get("state", {})))
        say({"dstream": "end", "seq": self.seq})
        self.over.wait()

    def refuse(self):
        refuse("input")

    def hello(self):
        say(
            {
                "dstream": "hello",
                "protocol": 1,
                "role": "input",
                "name": "counting",
                "version": "1",
                "capabilities": ["checkpoint", "ack", "drain"],
            }
        )

    def answer(self, config):
        if unknown := set(config) - {"password"}:
            name = min(unknown)
            error = {
                "code": "counting.unknown",
                "kind": "config",
                "message": f"unknown setting {name}",
                "config_path": name,
            }
            say({"status": "error", "message": error["message"], "error": error})
            sys.exit(1)
        say({"status": "ready"})

    def first(self, state):
        return state.get("next", 1)

    def stream(self, first):
        for number in range(first, LAST + 1, EVERY):
            with self.changed:
                self.changed.wait_for(self.has_room)
            if self.stopped:
                return
            for each in range(number, number + EVERY):
                self.row(each)
            self.checkpoint(EVERY, number + EVERY)
        with self.changed:
            self.changed.wait_for(lambda: self.stopped)

    def has_room(self):
        return self.stopped or self.seq - self.acknowledged < self.max_in_flight

    def row(self, number):
        say({"data": {"number": number}, "metadata": {}})

    def checkpoint(self, n, following):
        self.seq += 1
        say({"dstream": "checkpoint", "seq": self.seq, "n": n, "state": {"next": following}})

    def listen(self):
        for line in self.lines:
            self.heard(json.loads(line))
        with self.changed:
            stopped, self.stopped = self.stopped, True
            self.changed.notify_all()
        self.eof(stopped)
        self.over.set()

    def eof(self, after_stop):
        if not after_stop:
            os._exit(1)

    def heard(self, message):
        with self.changed:
            if message["dstream"] == "ack":
                self.acknowledged = message["seq"]
            if message["dstream"] == "stop":
                self.stopped = True
            self.changed.notify_all()


class Output:
    role = "output"
    capabilities = ("ack", "drain")

    def run(self):
        say(
            {
                "dstream": "hello",
                "protocol": 1,
                "role": self.role,
                "name": "settling",
                "version": "1",
                "capabilities": list(self.capabilities),
            }
        )
        self.lines = lines()
        line_1 = json.loads(next(self.lines, b"null"))
        if line_1 is None:
            return
        if line_1["command"] != "run":
            self.lifecycle(line_1)
        self.answer(line_1["config"])
        self.rows = self.seq = 0
        self.stopped = False
        for line in self.lines:
            self.heard(line)
        self.eof()

    def lifecycle(self, line_1):
        refuse(self.role)

    def answer(self, config):
        say({"status": "ready"})

    def heard(self, line):
        if not line.startswith(b'{"dstream":'):
            self.row(line)
            return
        message = json.loads(line)
        if message["dstream"] == "checkpoint":
            self.seq = message["seq"]
            self.checkpoint()
        if message["dstream"] == "stop":
            self.stopped = True

    def row(self, line):
        self.rows += 1

    def checkpoint(self):
        self.ack(self.seq, self.rows)
        self.rows = 0

    def ack(self, seq, n):
        say({"dstream": "ack", "seq": seq, "n": n})

    def eof(self):
        sys.exit(0 if self.stopped else 1)


class Transform(Output):
    role = "transform"
    capabilities = ("checkpoint", "drain")
    received = 0

    def row(self, line):
        self.received += 1
        if self.received % 2:
            self.rows += 1
            raw(line + b"\n")

    def checkpoint(self):
        self.pass_on(self.seq, self.rows)

    def pass_on(self, seq, n):
        say({"dstream": "checkpoint", "seq": seq, "n": n})
        self.rows = 0

    def eof(self):
        if self.stopped:
            self.end()
        super().eof()

    def end(self):
        say({"dstream": "end", "seq": self.seq})


class DeadLetters(Output):
    """Keeps two dead letters, which are never replayed or purged."""

    capabilities = ("ack", "drain", "dead_letters")
    letters = ("a", "b")

    def lifecycle(self, line_1):
        if line_1["command"] != "dead_letters":
            super().lifecycle(line_1)
        asked = line_1["dead_letters"]
        chosen = asked["letters"]
        if chosen is not None and any(self.letters[each["index"] - 1 :][:1] != (each["id"],) for each in chosen):
            self.refuse_changed()
        shown = range(1, len(self.letters) + 1) if chosen is None else [each["index"] for each in chosen]
        for index in shown:
            self.letter(index)
        if asked["action"] == "show":
            self.show()
        self.done(len(shown))
        sys.exit(0)

    def letter(self, index):
        say({"dstream": "dead_letter", "index": index, "id": self.letters[index - 1], "reason": "refused"})

    def show(self):
        say({"data": {}, "metadata": {}})

    def done(self, count):
        say({"dstream": "dead_letters", "count": count})

    def refuse_changed(self):
        error = {"code": "deadletter.changed", "kind": "refused", "message": "the dead letters have changed"}
        say({"dstream": "error", **error})
        sys.exit(1)
