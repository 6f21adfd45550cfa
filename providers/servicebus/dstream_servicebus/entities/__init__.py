"""Queues, topics, subscriptions and rules as resources of mode `entities`."""
