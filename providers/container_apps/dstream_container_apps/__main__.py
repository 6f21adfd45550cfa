"""The executable `dstream-container-apps`."""

from dstream.sdk import StdioProviderHost


def main() -> None:
    from dstream_container_apps.provider import ContainerApps

    StdioProviderHost(ContainerApps).run()


if __name__ == "__main__":
    main()
