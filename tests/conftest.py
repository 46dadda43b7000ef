"""What all tests share: hypothesis on a machine that others use too, and names that are the same in every worker."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No deadline for one example: the machine's load is not a fault of the code. A failure prints how to repeat it.
settings.register_profile("streamrnn", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("streamrnn")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their length: masked websocket frames are random, and workers must agree on the names."""
    return f"{argname}-{len(val)}B" if isinstance(val, bytes | bytearray) else None
