"""Creates and drops capture instances, for tasks with manage_capture_instances."""
