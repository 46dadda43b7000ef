"""The seven laws on one model, each tried once: for models that are too many, or too slow to make, for `tests/laws`."""

from __future__ import annotations

import numpy as np

import streamrnn
from tests.laws.nets import random_frames, same_bits
from tests.reference import Reference

N_FRAMES = 12


def hold_the_laws(model: streamrnn.Model, seed: int) -> None:
    """Step `model` in every way that must not matter, and compare each bit with one run of a fresh session."""
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=4))
    engine.add_model("m", model)
    xs, noise = random_frames(model, N_FRAMES, seed=seed), random_frames(model, N_FRAMES, seed=seed + 1)
    first = engine.open("m")
    whole = first.run(xs)
    exact = Reference(model.spec, model.tensors).run(xs)
    largest = max(1.0, float(np.abs(exact[model.delay :]).max(initial=0.0)))
    np.testing.assert_allclose(whole[model.delay :], exact[model.delay :], rtol=0, atol=1e-4 * largest)  # law 1

    mate = engine.open("m")
    first.lane.arena.rows[first.slot] = np.nan
    slot = first.slot
    first.close()
    one = engine.open("m")  # law 4: in the slot of a session that left nothing but NaN
    assert one.slot == slot
    assert same_bits(np.array([one.step(x) for x in xs]), whole)

    one.reset()
    mixed = [engine.step_many([mate, one], np.stack([n, x])) for n, x in zip(noise, xs, strict=True)]
    assert same_bits(np.array(mixed)[:, 1], whole)  # law 2

    cut = 1 + seed % (N_FRAMES - 1)
    one.reset()
    parts = [one.run(xs[:cut])]
    blob, twin = one.snapshot(), one.fork()
    assert same_bits(np.concatenate([*parts, one.run(xs[cut:])]), whole)  # law 3
    assert same_bits(np.concatenate([*parts, twin.run(xs[cut:])]), whole)  # law 5
    one.close()
    twin.close()
    moved = engine.restore(blob)
    mate.lane.arena.rows[mate.slot] = np.nan  # law 7: a mate whose state is no number
    mixed = [engine.step_many([mate, moved], np.stack([n, x])) for n, x in zip(noise[cut:], xs[cut:], strict=True)]
    assert same_bits(np.concatenate([*parts, np.array(mixed)[:, 1]]), whole)

    queued = engine.open("m")  # law 6: one output a frame, in order
    for start in range(0, N_FRAMES, 5):
        engine.push(queued, start, xs[start : start + 5])
    outputs = engine.finish(queued)
    assert [output.seq for output in outputs] == list(np.cumsum([0, *(len(output.ys) for output in outputs[:-1])]))
    assert same_bits(np.concatenate([output.ys for output in outputs]), whole)
