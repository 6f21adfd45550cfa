"""Checkouts of somebody who wants a command on them to run code, to read this machine, or never to end.

They are written by tests instead of committed, because tools would obey some of their files (pyproject.toml, .git) here.
In texts, `@RAN@` is a folder in which code that runs leaves a file, and `@OUTSIDE@` a folder outside the checkout.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

QUEUE = """
task "orders" {
  input { provider = "counter" }
  output {
    provider = "servicebus"
    config {
      resource_group = "sandbox"
      namespace      = "sandbox"
      queue          = "checkout"
    }
  }
}
"""
_PYTHON = "import os\nopen('@RAN@/' + __name__, 'w')\n"
_SHELL = '#!/bin/sh\ntouch "@RAN@/${0##*/}"\n'


@dataclass(frozen=True)
class Checkout:
    """What it contains, and how `plan --all --untrusted` ends."""

    files: Mapping[str, str]
    """Those that start with `#!` are executable."""
    links: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    """More options of `plan`."""
    exits: int = 5
    """The exit code of `plan`; 5: refused."""

    def write(self, folder: Path, ran: Path, outside: Path) -> None:
        def filled(text: str) -> str:
            return text.replace("@RAN@", str(ran)).replace("@OUTSIDE@", str(outside))

        for name, text in self.files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(filled(text))
            file.chmod(0o755 if text.startswith("#!") else 0o644)
        for name, target in self.links.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(filled(target), folder / name)


def _reading(expression: str) -> Checkout:
    """A queue named by an expression that reads this machine."""
    return Checkout({"dstream.hcl": QUEUE.replace('"checkout"\n    }', f"{expression}\n    }}")})


def _settings(text: str) -> Checkout:
    return Checkout({"dstream.hcl": f"dstream {{\n{text}\n}}\n{QUEUE}"})


def _harmless(files: Mapping[str, str]) -> Checkout:
    """A valid file, and others that tools obey."""
    return Checkout({"dstream.hcl": QUEUE, **files}, exits=0)


def _bomb(text: str, exits: int = 3) -> Checkout:
    """A file that is too much. A queue whose name needs `local.x`, if that is what is too much: `plan` evaluates what
    it needs."""
    hcl = QUEUE.replace('"checkout"\n    }', "jsonencode(local.x)\n    }") if "x = " in text else QUEUE
    return Checkout({"dstream.hcl": text + hcl}, exits=exits)


_RECORD = {
    "version": 3,
    "checkpoint": {
        "stack": "organization/orders/dev",
        "latest": {
            "manifest": {"time": "2026-01-01T00:00:00Z", "magic": "", "version": "v3.272.0"},
            "resources": [
                {
                    "urn": "urn:pulumi:dev::orders::pulumi:providers:evil::default",
                    "custom": True,
                    "id": "4fe1ef33-0b4b-4b8d-a9c1-000000000000",
                    "type": "pulumi:providers:evil",
                    "inputs": {"__internal": {"pluginDownloadURL": "file://@OUTSIDE@/plugins"}, "version": "1.0.0"},
                    "outputs": {"version": "1.0.0"},
                }
            ],
        },
    },
}
_PLUGINS = """\
name: orders
runtime: {name: python, options: {virtualenv: venv, typechecker: mypy}}
main: ./
plugins:
  providers: [{name: azure-native, path: ./bin}]
  languages: [{name: python, path: ./bin}]
"""

CHECKOUTS: dict[str, Checkout] = {
    "01-python-modules": _harmless(
        {
            f"{name}.py": _PYTHON
            for name in ("dstream", "dstream_servicebus", "grpc", "json", "msgspec", "pulumi", "pulumi_azure_native")
        }
        | {f"{name}.py": _PYTHON for name in ("sitecustomize", "usercustomize", "typing")}
    ),
    "02-executables": _harmless(
        {
            f"{folder}{name}": _SHELL
            for folder in ("", "bin/", "venv/bin/", ".venv/bin/")
            for name in ("dstream-servicebus", "git", "pulumi", "pulumi-resource-azure-native", "python", "python3")
        }
    ),
    "03-provider-path": Checkout(
        {"dstream.hcl": QUEUE.replace('provider = "servicebus"', 'provider_path = "./evil"'), "evil": _SHELL}
    ),
    "04-provider-name-with-a-path": Checkout(
        {"dstream.hcl": QUEUE.replace('"servicebus"', '"../../../../../../..@RAN@/../checkout/evil"'), "evil": _SHELL},
        exits=3,
    ),
    "05-file-of-the-system": _reading('file("/etc/passwd")'),
    "06-file-outside": _reading('file("../outside/secret")'),
    "07-template-file-outside": _reading('templatefile("../outside/secret", {})'),
    "08-environment": _reading('env("AWS_SECRET_ACCESS_KEY")'),
    "09-secret": _reading('secret("env:AWS_SECRET_ACCESS_KEY")'),
    "10-go-template": _reading('"{{ env "AWS_SECRET_ACCESS_KEY" }}"'),
    "11-go-template-in-a-wrong-place": Checkout({"dstream.hcl": '{{ env "AWS_SECRET_ACCESS_KEY" }}\n' + QUEUE}),
    "12-linked-file": Checkout({}, links={"dstream.hcl": "@OUTSIDE@/secret"}),
    "13-linked-dstream-folder": Checkout({"dstream.hcl": QUEUE}, links={".dstream": "@OUTSIDE@"}),
    "14-record": Checkout(
        {
            "dstream.hcl": QUEUE,
            ".dstream/infra/.pulumi/stacks/orders/dev.json": json.dumps(_RECORD),
            ".dstream/infra/.pulumi/meta.yaml": "version: 1\n",
            ".dstream/infra/orders/dev/Pulumi.yaml": _PLUGINS,
            ".dstream/infra/orders/dev/Pulumi.dev.yaml": "secretsprovider: azurekeyvault://evil.example/keys/a\n",
            ".dstream/infra/orders/dev/bin/pulumi-resource-azure-native": _SHELL,
        }
    ),
    "15-linked-plan-files": Checkout(
        {"dstream.hcl": QUEUE},
        links={"plan.json": "@OUTSIDE@/secret", "plan.md": "@OUTSIDE@/notes"},
        options=("--out", "plan.json", "--markdown", "plan.md"),
        exits=1,
    ),
    "27-provider-of-a-registry": Checkout(
        {
            "dstream.hcl": QUEUE.replace(
                'provider = "servicebus"', f'provider_ref = "127.0.0.1:9/evil/servicebus@sha256:{"a" * 64}"'
            )
        }
    ),
    "26-environment-of-a-provider": Checkout(
        {
            "dstream.hcl": QUEUE.replace(
                'provider = "servicebus"',
                'provider = "servicebus"\n    env = { PYTHONPATH = "lib", PATH = "bin", LD_PRELOAD = "./evil.so" }',
            ),
            "lib/sitecustomize.py": _PYTHON,
            "bin/pulumi": _SHELL,
        }
    ),
    "16-program-hook": Checkout(
        {"dstream.hcl": f'dstream {{\n  infrastructure {{ program = "infra.py" }}\n}}\n{QUEUE}', "infra.py": _PYTHON}
    ),
    "17-backend-in-a-folder": _settings('  infrastructure { backend_url = "file://@OUTSIDE@" }'),
    "18-backend-of-somebody": _settings('  infrastructure { backend_url = "azblob://state?storage_account=evil" }'),
    "19-key-of-somebody": _settings('  infrastructure { secrets_provider = "azurekeyvault://evil.example/keys/a" }'),
    "20-work-folder-outside": _settings('  infrastructure { work_dir = "../outside" }'),
    "21-state-outside": _settings('  state { path = "../outside" }'),
    "22-audit-log-outside": _settings('  audit { file = "../outside/audit.jsonl" }'),
    "23-pulumi-projects": _harmless(
        {
            "Pulumi.yaml": _PLUGINS,
            "Pulumi.dev.yaml": "secretsprovider: azurekeyvault://evil.example/keys/a\n",
            ".pulumi/bin/pulumi": _SHELL,
            "bin/pulumi-resource-azure-native": _SHELL,
            "bin/pulumi-language-python": _SHELL,
            "__main__.py": _PYTHON,
        }
    ),
    "24-git": _harmless(
        {
            ".git/HEAD": "ref: refs/heads/main\n",
            ".git/config": "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = @RAN@/../checkout/evil\n"
            "\thooksPath = hooks\n\tsshCommand = @RAN@/../checkout/evil\n[include]\n\tpath = @OUTSIDE@/secret\n",
            ".git/hooks/post-checkout": _SHELL,
            "hooks/pre-commit": _SHELL,
            "evil": _SHELL,
        }
    ),
    "25-files-of-other-tools": _harmless(
        {
            "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "evil"\nbackend-path = ["."]\n',
            "evil.py": _PYTHON,
            "setup.py": _PYTHON,
            "conftest.py": _PYTHON,
            "pip.conf": "[global]\nindex-url = http://127.0.0.1:9/\n",
            ".env": "PYTHONPATH=.\nPYTHONSTARTUP=evil.py\nPULUMI_BACKEND_URL=file://@OUTSIDE@\n",
            ".envrc": _SHELL,
            "pyvenv.cfg": "home = .\n",
            "odbcinst.ini": "[ODBC Driver 18 for SQL Server]\nDriver=@RAN@/../checkout/evil.so\n",
        }
    ),
}

BOMBS: dict[str, Checkout] = {
    "31-number": _bomb('locals { x = jsondecode("[1e400]") }\n'),
    "32-digits": _bomb(f"locals {{ x = {'9' * 5000} }}\n"),
    "33-nested-ifs": _bomb("{{ if true }}" * 3000 + "{{ end }}" * 3000 + "\n"),
    "34-backtracking": _bomb(f'locals {{ x = regexall("(a+)+$", "{"a" * 40}!") }}\n'),
    "35-width": _bomb('locals { x = format("%2000000000s", "a") }\n'),
    "36-range-of-a-template": _bomb("{{ range 300000000 }}{{ end }}\n"),
    "37-range": _bomb("locals { x = range(300000000) }\n"),
    "38-nesting": _bomb(f"locals {{ x = {'[' * 100_000}{']' * 100_000} }}\n"),
    "39-blocks": _bomb("a {\n" * 20_000 + "}\n" * 20_000),
    "40-huge-file": _bomb("# " + "a" * (17 << 20) + "\n"),
    "41-many-tasks": _bomb(
        "".join(
            f'task "t{n}" {{\n  input {{ provider = "counter" }}\n  output {{ provider = "console" }}\n}}\n'
            for n in range(100_000)
        ),
        exits=5,
    ),
    "42-billion-laughs": _bomb(
        'locals {\n  a0 = "aaaaaaaaaaaaaaaa"\n'
        + "".join(f'  a{n} = join("", [{", ".join([f"local.a{n - 1}"] * 16)}])\n' for n in range(1, 9))
        + "  x = local.a8\n}\n"
    ),
    "43-lists-of-lists": _bomb(
        "locals {\n  a0 = [1, 2, 3, 4, 5, 6, 7, 8]\n"
        + "".join(f"  a{n} = flatten([{', '.join([f'local.a{n - 1}'] * 8)}])\n" for n in range(1, 9))
        + "  x = local.a8\n}\n",
        exits=5,
    ),
    "44-loops": _bomb("locals { x = " + "[for a in range(1000): " * 4 + "1" + "]" * 4 + " }\n", exits=5),
    "45-yaml": _bomb(
        'locals { x = yamldecode("a: &a [1,1,1,1,1,1,1,1,1]\\n'
        + "".join(f"b{n}: &b{n} [{','.join([f'*b{n - 1}' if n else '*a'] * 9)}]\\n" for n in range(9))
        + '") }\n'
    ),
}

SLOW_BOMBS = frozenset(
    {f"{name}-{command}" for name in ("41-many-tasks", "43-lists-of-lists") for command in ("plan", "static")}
    | {"44-loops-static"}
)
"""With their commands. Their CPU time is the limit's, as that of `44-loops-plan`."""
