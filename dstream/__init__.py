"""DStream: Terraform for data streaming. A task streams rows from an input provider to an output provider."""

__version__ = "0.1.0"
