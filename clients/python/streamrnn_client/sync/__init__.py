"""The blocking shell: the same names as the asyncio one, without `await`."""

from streamrnn_client.sync.client import Client, connect
from streamrnn_client.sync.group import Group, Sent
from streamrnn_client.sync.session import Session

__all__ = ["Client", "Group", "Sent", "Session", "connect"]
