"""`python -m dstream`."""

from dstream.cli.main import main

main()
