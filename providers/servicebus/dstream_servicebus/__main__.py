"""The executable `dstream-servicebus`."""

from dstream.sdk import StdioProviderHost


def main() -> None:
    from dstream_servicebus.provider import ServiceBus

    StdioProviderHost(ServiceBus).run()


if __name__ == "__main__":
    main()
