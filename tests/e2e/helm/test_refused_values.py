"""Values that cannot work, or contain a secret, are refused before anything reaches the cluster."""

from __future__ import annotations

import pytest

from tests.e2e.helm.chart import helm, needs_helm, values

pytestmark = needs_helm

REFUSED = {
    "no task": ("minimal", ["--set", "tasks=null"], 'e.g. --set-json \'tasks={"orders":{}}\''),
    "a name that Kubernetes refuses": ("minimal", ["--set", "tasks.Orders_EU.replicas=1"], "--set 'tasks.orders.task=Orders_EU'"),
    "an unknown setting": ("minimal", ["--set", "replica=3"], "additional properties 'replica' not allowed"),
    "an unknown setting of a task": ("minimal", ["--set", "tasks.count.image=x"], "at '/tasks/count': additional properties 'image' not allowed"),
    "no image": ("minimal", ["--set", "image.repository="], "Build the image with examples/container/Dockerfile"),
    "a digest that is none": ("minimal", ["--set", "image.digest=latest"], "at '/image/digest'"),
    "no configuration": ("minimal", ["--set", "config.hcl="], "--set-file config.hcl=dstream.hcl"),
    "two configurations": ("minimal", ["--set", "config.existingConfigMap=x"], "set either hcl"),
    "a second pod on a file backend": ("file", ["--set", "replicas=2"], "Set replicas to 1, or use a network backend"),
    "a second pod of one task on a file backend": ("file", ["--set", "tasks.count.replicas=2"], "tasks.count.replicas"),
    "checkpoints outside of the volume": ("file", ["--set", "config.hcl=# nothing"], 'dstream { state { path = "/state" } }'),
    "another backend than in the file": ("minimal", ["--set", "state.backend=postgres"], "--set state.backend=azblob"),
    "a volume for another backend than in the file": ("minimal", ["--set", "state.backend=file"], "--set state.backend=azblob"),
    "a backend that is only in a comment": ("minimal", ["--set", 'config.hcl=# state { backend = "azblob" }'], "--set state.backend=file"),
    "a variable with the name of a secret": ("minimal", ["--set", "env.DB_PASSWORD=hunter2"], "in a Secret that secretEnv or envFrom names"),
    "headers of an OTLP collector": ("minimal", ["--set", "env.OTEL_EXPORTER_OTLP_HEADERS=api-key=hunter2"], "in a Secret that secretEnv or envFrom names"),
    "such a variable of a task": ("minimal", ["--set", "tasks.count.env.API_TOKEN=hunter2"], "in a Secret that secretEnv or envFrom names"),
    "a password in a connection string": ("minimal", ["--set", "env.SOURCE=Server=sql;PWD=hunter2"], "put them into a Secret"),
    "a password in a URL": ("minimal", ["--set", "env.DSTREAM_STATE_URL=postgresql://me:hunter2@db/dstream"], "put them into a Secret"),
    "a key in the HCL file": ("minimal", ["--set", 'config.hcl=x = "Endpoint=sb://a/;SharedAccessKey=hunter2"'], "read it with env() in dstream.hcl"),
    "a password in another file": ("minimal", ["--set", 'config.files.a\\.hcl=password = "hunter2"'], "read it with env() in dstream.hcl"),
    "the text of a secret instead of its place": ("minimal", ["--set", "secretEnv.DB_PASSWORD=hunter2"], "at '/secretEnv/DB_PASSWORD': got string, want object"),
    "a variable with two values": ("minimal", ["--set", "env.A=b,secretEnv.A.name=c,secretEnv.A.key=d"], "Remove one of them"),
    "a privileged port": ("minimal", ["--set", "metrics.port=80"], "want 1,024"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "flags", "message"), REFUSED.values(), ids=REFUSED)
def test_values_are_refused_with_the_place_or_the_fix(name: str, flags: list[str], message: str) -> None:
    done = helm("template", values(name), *flags)
    assert done.returncode == 1, done.stdout
    assert message in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    "hcl",
    [
        'a = "Server=sql;PWD=${env("SQL_PASSWORD")}"',
        'password = env("SQL_PASSWORD")',
        'url = "postgresql://dstream@db.example.com/dstream?sslmode=verify-full"',
        'url = "postgresql://dstream:${env("PASSWORD")}@db.example.com/dstream"',
    ],
)
def test_references_to_secrets_are_allowed(hcl: str) -> None:
    done = helm("template", values("file"), "--set-string", f'config.hcl=state {{ path = "/state" }}\n{hcl}')
    assert done.returncode == 0, done.stderr


def test_a_backend_that_is_an_expression_is_not_compared() -> None:
    hcl = 'config.hcl=state { url = "x-${var.a}"\n backend = var.backend }'
    assert helm("template", values("minimal"), "--set-string", hcl, "--set", "state.backend=mssql").returncode == 0


def test_the_chart_without_values_says_what_to_set() -> None:
    done = helm("template", None)
    assert done.returncode == 1
    assert "tasks: no task to run" in done.stderr
