"""Where to start, which changes to read next, and how far the output has come."""
