"""The only asyncio: sockets, HTTP, metrics, clock and signals around the hub."""
