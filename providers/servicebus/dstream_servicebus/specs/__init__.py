"""From settings to the spec that the Pulumi programs provision. Pure."""
