"""Runs what the serving side wants of a store; in whatever thread owns the store."""

from __future__ import annotations

import time
from typing import Any

from streamrnn.errors import StoreError, SupersededError, TokenError
from streamrnn.serving import kept
from streamrnn.serving.capture import Capture
from streamrnn.serving.errands import Claim, Claimed, Errand, Forget, Insert, Save
from streamrnn.serving.hosted import epoch_of
from streamrnn.serving.token import is_one_of
from streamrnn.stores.store import Store, Stored

CAPTURES_A_TURN = 16
"""Records that are encoded, in some 100 us, before other threads may run."""
MAX_RACES = 8
"""Times that a claim is tried again because somebody else's came between."""


def run(errand: Errand, store: Store, now_s: float, key: bytes | None = None) -> Any:
    """Run one errand and return its result.

    Args:
        errand: what is wanted.
        store: where.
        now_s: the time for the records, s, see `Store`.
        key: seals the records, see `Engine`.

    Raises:
        StoreError, TokenError, SupersededError, SnapshotError: as the errand says.
    """
    match errand:
        case Save():
            return _save(errand, store, now_s, key)
        case Claim():
            return _claim(errand, store, now_s, key)
        case Insert():
            return store.insert(_stored(errand.capture, key), now_s)
        case Forget():
            return store.delete(errand.owners + [(capture.session_id, capture.epoch) for capture in errand.renewed])
    raise TypeError(f"no such errand: {errand!r}")


def _stored(capture: Capture, key: bytes | None) -> Stored:
    return Stored(capture.session_id, capture.epoch, capture.next_seq, capture.encode(key))


def _save(save: Save, store: Store, now_s: float, key: bytes | None) -> set[str]:
    records = []
    for n, capture in enumerate(save.captures):
        if capture.must_renew:
            renewed = store.claim(capture.session_id, now_s, held_epoch=capture.epoch)
            if renewed is not None:
                capture.epoch = renewed.epoch
        records.append(_stored(capture, key))
        if n % CAPTURES_A_TURN == CAPTURES_A_TURN - 1:
            time.sleep(0)  # lets the thread that steps frames run now, and not at the end of our 5 ms
    return set(store.save(records, now_s))


def _claim(claim: Claim, store: Store, now_s: float, key: bytes | None) -> Claimed | None:
    """The token is looked at before anything changes: who has none cannot fence the owner."""
    for _ in range(MAX_RACES):
        stored = store.load(claim.session_id)
        if stored is None:
            return None
        record = kept.decode(stored.snapshot, key)
        if stored.epoch != claim.trusted_epoch and not is_one_of(claim.token, record.token_hashes):
            raise TokenError(f"expected a resume token of session {claim.session_id!r}")
        least_epoch = epoch_of(claim.attempt) if claim.attempt is not None else 0
        if claim.attempt is not None and stored.epoch >= least_epoch:
            raise SupersededError(f"session {claim.session_id!r} was resumed by a later attempt than {claim.attempt}")
        claimed = store.claim(claim.session_id, now_s, held_epoch=stored.epoch, least_epoch=least_epoch)
        if claimed is not None:
            return Claimed(kept.decode(claimed.snapshot, key), claimed.epoch, stored.epoch)
    raise StoreError("a session was claimed by others over and over", operation="claim", cause="race")
