"""The executable dstream-mssql-cdc."""

from dstream.sdk import StdioProviderHost
from dstream_mssql_cdc.provider import MssqlCdc


def main() -> None:
    StdioProviderHost(MssqlCdc).run()


if __name__ == "__main__":
    main()
