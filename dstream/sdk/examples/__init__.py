"""Small providers that come with DStream, built on the public SDK alone. Read them to learn how to write one."""
