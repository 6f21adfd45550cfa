"""DStream: tasks that join an input to an output provider, streamed safely, provisioned like infrastructure."""

__version__ = "0.1.0"
