"""Change rows as output lines, and the records of schemas."""
