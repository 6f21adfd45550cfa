"""Exports metrics and traces over OTLP with OpenTelemetry's SDK. Imported only if the environment asks for it."""
