"""The configuration and the template of a container app: one container, its environment, files, probes and scale."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi_azure_native.app import _inputs as args

from dstream_stacks.container_apps import (
    CONFIGURATION_DIGEST,
    CONFIGURATION_FOLDER,
    METRICS_PORT,
    AppSpec,
    digest,
    file_secret,
    secret_name,
)

_VOLUME = "configuration"
_PROBE_TIMEOUT_S = 5
"""A busy stream on a quarter of a core can take longer to answer than Azure's default of 1 s."""
_TERMINATION_GRACE_PERIOD_S = 60
"""A run drains for at most 25 s. Container Apps allows up to 600 s (Microsoft, "Application lifecycle management in
Azure Container Apps").
"""


def configuration(spec: AppSpec, identity_id: Any) -> args.ConfigurationArgs:
    """Return what all revisions share. There is no ingress: nothing connects to a stream.

    The files contain no secrets, but the record keeps them encrypted like secrets, too.
    """
    files = [
        args.SecretArgs(name=file_secret(name), value=pulumi.Output.secret(text)) for name, text in spec.files.items()
    ]
    references = [
        args.SecretArgs(name=secret_name(variable), key_vault_url=url, identity=identity_id)
        for variable, url in spec.secrets.items()
    ]
    registries = [args.RegistryCredentialsArgs(server=spec.registry, identity=identity_id)] if spec.registry else None
    return args.ConfigurationArgs(active_revisions_mode="Single", secrets=[*files, *references], registries=registries)


def template(spec: AppSpec, client_id: Any) -> args.TemplateArgs:
    """Return what makes a revision: a change of it starts a new one. `client_id`: of the identity."""
    files = [args.SecretVolumeItemArgs(secret_ref=file_secret(name), path=name) for name in spec.files]
    return args.TemplateArgs(
        containers=[_container(spec, client_id)],
        scale=args.ScaleArgs(min_replicas=spec.replicas, max_replicas=spec.replicas),
        termination_grace_period_seconds=_TERMINATION_GRACE_PERIOD_S,
        volumes=[args.VolumeArgs(name=_VOLUME, storage_type="Secret", secrets=files)],
    )


def _container(spec: AppSpec, client_id: Any) -> args.ContainerArgs:
    """`AZURE_CLIENT_ID` selects the user-assigned identity for DefaultAzureCredential (Microsoft, "Managed identities
    in Azure Container Apps"). Memory: 2 GiB per core (Microsoft, "Containers in Azure Container Apps", Allocations).
    """
    plain = {CONFIGURATION_DIGEST: digest(spec.files)[:32], "AZURE_CLIENT_ID": client_id, **spec.env}
    return args.ContainerArgs(
        name="dstream",
        image=spec.image,
        args=list(spec.args),
        env=[
            *(args.EnvironmentVarArgs(name=name, value=value) for name, value in plain.items()),
            *(args.EnvironmentVarArgs(name=name, secret_ref=secret_name(name)) for name in spec.secrets),
        ],
        resources=args.ContainerResourcesArgs(cpu=spec.cpu, memory=f"{spec.cpu * 2:g}Gi"),
        probes=[
            _probe("Startup", "/healthz", period_s=15, failures=10),
            _probe("Liveness", "/healthz", period_s=10, failures=6),
            _probe("Readiness", "/readyz", period_s=10, failures=3),
        ],
        volume_mounts=[args.VolumeMountArgs(volume_name=_VOLUME, mount_path=CONFIGURATION_FOLDER)],
    )


def _probe(kind: str, path: str, *, period_s: int, failures: int) -> args.ContainerAppProbeArgs:
    """`failures`: at most 10 (ARM reference, Microsoft.App/containerApps, ContainerAppProbe)."""
    return args.ContainerAppProbeArgs(
        type=kind,
        http_get=args.ContainerAppProbeHttpGetArgs(path=path, port=METRICS_PORT),
        period_seconds=period_s,
        failure_threshold=failures,
        timeout_seconds=_PROBE_TIMEOUT_S,
    )
