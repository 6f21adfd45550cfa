"""The deployment provider for the SDK: only infrastructure, no stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dstream.infra import PulumiInfrastructure
from dstream.sdk import Batch, Claim, InfrastructureContext, OutputProvider, Plan, Result
from dstream.sdk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dstream.infra import Definition
    from dstream_container_apps.config import Config  # in quotes below


class ContainerApps(OutputProvider["Config"], PulumiInfrastructure["Config"]):
    """Deploys tasks to Azure Container Apps."""

    name: ClassVar[str] = "container_apps"
    version: ClassVar[str] = "0.1.0"

    @classmethod
    def config_type(cls) -> type[Any]:
        from dstream_container_apps.config import Config

        return Config

    @classmethod
    def check_config(cls, config: Config) -> Sequence[Claim]:
        from dstream_container_apps.specs import check, claims_of

        check(config)
        return claims_of(config)

    def definition(self, context: InfrastructureContext) -> Definition:
        from dstream_container_apps.definition import definition

        return definition(self.config, imports=context.options.import_)

    def recorded(self, context: InfrastructureContext) -> Definition:
        from dstream_container_apps.definition import definition

        return definition(self.config, imports=False, is_made=False)

    def plan(self, context: InfrastructureContext) -> Plan:
        from dstream_container_apps.display import in_parts

        plan = super().plan(context)
        return plan._replace(resources=in_parts(plan.resources))

    def init(self, context: InfrastructureContext) -> Result:
        from dstream_container_apps.display import in_parts

        result = super().init(context)
        return result._replace(resources=in_parts(result.resources))

    def write(self, batch: Batch) -> None:
        raise ConfigError(
            "container_apps.no_stream",
            "container_apps deploys tasks, and writes no rows",
            hint="Use it in a deployment block, with `dstream deploy`.",
        )
