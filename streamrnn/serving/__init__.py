"""The whole server minus sockets: peers, and the hub that joins them to the engine. No clock, no I/O."""
