"""Which models a server takes: none whose certificate failed, unless its operator insists."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from streamrnn.errors import UnprovenError
from streamrnn.model.model import Model

log = logging.getLogger("streamrnn.server")


def admit(name: str, model: Model, is_forced: bool) -> None:
    """Let a model be served, with a line in the log where nothing proves it.

    Args:
        name: under which it is to be served.
        model: whose certificate is looked at.
        is_forced: take one that failed, too.

    Raises:
        UnprovenError: its certificate failed, or holds an error beyond its own tolerance.
    """
    certificate = model.certificate
    if fault := certificate.fault:
        if not is_forced:
            raise UnprovenError(
                f"model {name!r} is not served: {fault}; convert it anew, or serve it all the same with "
                "--force-unproven",
                model=name,
                max_abs_error=certificate.max_abs_error,
            )
        log.warning("model %s is served by force: %s", name, fault)
    elif certificate.passed is None:
        log.info("model %s was never compared with an original: nothing proves what it computes", name)


def newer_of(served: Mapping[str, Model], read: Mapping[str, Model], is_forced: bool) -> list[str]:
    """Names of models whose newer version may take the place of the one that is served; the log names the others."""
    newer = []
    for name in sorted(served.keys() & read.keys()):
        old, new = served[name], read[name]
        if old.digest == new.digest and old.card == new.card:
            continue
        try:
            admit(name, new, is_forced)
        except UnprovenError as fault:
            log.error("not reloaded, the version that is served goes on: %s", fault)
        else:
            newer.append(name)
    return newer
