"""The nodes that the links of a Service Bus namespace attach to: $cbs, $management, and entities."""
