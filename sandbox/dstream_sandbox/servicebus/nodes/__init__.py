"""What stands behind the links of a Service Bus namespace: $cbs, $management, and entities."""
