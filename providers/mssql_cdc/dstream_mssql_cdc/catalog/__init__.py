"""Tables, columns and capture instances: what there is to read, and how it changes."""
