"""The asyncio shell; its names stand in `streamrnn_client` itself."""
