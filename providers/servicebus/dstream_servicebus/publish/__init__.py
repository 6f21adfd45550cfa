"""One run: from events to messages that Service Bus has accepted."""
