"""A small AMQP 1.0 server on asyncio: codec, frames, sessions and links. Independent of queues."""
