"""The laws of every decoder: no chunking, no snapshot and no bad output changes what is found in what comes after."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.decode.anomaly import AnomalySettings
from streamrnn.decode.decoder import Decoder, Facts
from streamrnn.decode.event import Event
from streamrnn.decode.generation import Generation
from streamrnn.decode.making import make_decoder
from streamrnn.decode.sampler import Sampler
from streamrnn.decode.settings import (
    AnomalyDecoding,
    CtcSettings,
    EndpointSettings,
    LabelSettings,
    Rule,
    SamplerSettings,
    Settings,
    SpeakerSettings,
)
from streamrnn.errors import SnapshotError

SEEDS = st.integers(0, 2**32 - 1)
SIZE = 5
FACTS = Facts(3, SIZE, ("-", "a", "b", "c", "|"), {"all": (0, SIZE), "most": (1, SIZE)}, rate_hz=10.0, delay=2)
SOON = EndpointSettings(Rule(False, 1.0, 0.0), Rule(True, 0.3, 0.0), rule5=Rule(False, 0.0, 3.0))
NERVOUS = AnomalySettings(
    long_frames=20, level_frames=2, spread_frames=3, warmup_frames=4, full_digits=4.0, threshold=0.3,
    refractory_frames=3,
)  # fmt: skip
ENROLLED: dict[str, tuple[float, ...]] = {"ann": (1.0, 0.0, 0.0, 0.0, 0.0), "bob": (0.0, 1.0, 1.0, 0.0, 0.0)}
POISONS = (np.nan, np.inf, -np.inf, 1e-45, -3e38, 3e38)

TABLE: dict[str, Settings] = {
    "keywords": LabelSettings(threshold=0.4, release=0.3, refractory_s=0.3, input="logit", ignored=("-",)),
    "smoothed": LabelSettings("keyword", "most", "logit", 0.3, 0.25, {"a": 0.2}, smooth_s=0.4, refractory_s=0.1),
    "labels": LabelSettings("label", "", "probability", 0.4, smooth_s=0.3),
    "greedy": CtcSettings(input="logit", endpoint=SOON),
    "letters": CtcSettings(separator="", word_separator="|", endpoint=SOON, max_symbols=4),
    "beam": CtcSettings(input="logit", beam=4, endpoint=SOON, max_symbols=6),
    "words": CtcSettings(
        beam=6,
        n_best_symbols=3,
        separator="",
        word_separator="|",
        words=("a", "ab", "cab"),
        word_bonus=0.5,
        endpoint=SOON,
        max_symbols=5,
    ),
    "quiet": CtcSettings(input="probability", partials=False, endpoint=None, max_symbols=3),
    "alarms": AnomalyDecoding(NERVOUS, input_column=1, output_column=2),
    "levels": AnomalyDecoding(NERVOUS, input_column=2, output_column=1, level_quantile=0.9),
    "speakers": SpeakerSettings(enrolled=ENROLLED, threshold=0.6, hold_s=0.2),
    "speaker of a head": SpeakerSettings("most", {"eve": (1.0, 0.0, -1.0, 0.0)}, threshold=0.1, min_s=0.4),
    "sampler": SamplerSettings(),
    "sampler of logits": SamplerSettings("most", "logit"),
}
PLACES = {"alarms": 2, "levels": 1}
"""Where an output must be bad to be so for a decoder that reads one value."""

each_decoder = pytest.mark.parametrize("name", TABLE)


class Part(NamedTuple):
    """Frames that follow each other: seq of the first, frames (n, 3) float32, outputs (n, SIZE) float32."""

    seq: int
    xs: np.ndarray
    ys: np.ndarray


def outputs(name: str, logits: np.ndarray) -> np.ndarray:
    """Logits as the outputs that a decoder of the table reads."""
    kind = getattr(TABLE[name], "input", "logit")
    if kind == "logit":
        return logits
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    return probabilities if kind == "probability" else np.log(probabilities)


def course(name: str, seed: int, n: int, seq: int = 1) -> Part:
    """Frames whose outputs hold one symbol for a while, the first one more often than not."""
    rng = np.random.default_rng(seed)
    symbols = np.repeat(rng.choice(SIZE, n, p=[0.4, 0.2, 0.2, 0.1, 0.1]), rng.integers(1, 7, n))[:n]
    logits = rng.standard_normal((n, SIZE))
    logits[np.arange(n), symbols] += rng.choice([0.0, 2.0, 4.0, 9.0], n)
    return Part(seq, rng.standard_normal((n, 3)).astype(np.float32), outputs(name, logits).astype(np.float32))


def make(name: str) -> Decoder:
    """A decoder of the table; what it can be asked for, it was asked for."""
    decoder = make_decoder(TABLE[name], FACTS)
    if isinstance(decoder, Sampler):
        decoder.feed(0, np.zeros((1, 3), np.float32), np.full((1, SIZE), 0.2, np.float32))
        decoder.arm(1, Generation(40, temperature=1.5, top_k=3, seed=7))
    return decoder


def feed(decoder: Decoder, part: Part, cuts: list[slice] | None = None) -> list[Event]:
    """Feed a part in chunks, or frame by frame."""
    chunks = cuts if cuts is not None else [slice(i, i + 1) for i in range(len(part.ys))]
    return [e for c in chunks for e in decoder.feed(part.seq + c.start, part.xs[c], part.ys[c])]


def cuts_of(data: st.DataObject, n: int) -> list[slice]:
    """A random way to cut `n` frames into chunks."""
    ends = sorted(data.draw(st.sets(st.integers(1, n - 1)), "cuts")) if n > 1 else []
    return [slice(a, b) for a, b in zip([0, *ends], [*ends, n], strict=True)]


@each_decoder
@given(data=st.data(), seed=SEEDS, n=st.integers(1, 80))
def test_any_chunking_gives_the_same_events(name, data, seed, n):
    part, one, other = course(name, seed, n), make(name), make(name)
    assert feed(one, part) == feed(other, part, cuts_of(data, n))
    assert one.state() == other.state()
    assert one.finish(n + 1) == other.finish(n + 1)


@each_decoder
@given(seed=SEEDS, n=st.integers(2, 80), data=st.data(), gap=st.integers(0, 50))
def test_a_restored_decoder_goes_on_with_the_same_events(name, seed, n, data, gap):
    cut = data.draw(st.integers(1, n - 1), "cut")
    one, other = make(name), make(name)
    feed(other, course(name, seed ^ 1, 9))
    feed(one, course(name, seed, cut))
    state = one.state()
    other.restore(state)
    assert other.state() == state
    rest = course(name, seed ^ 2, n - cut, seq=1 + cut + gap)
    assert feed(one, rest) == feed(other, rest)
    assert one.state() == other.state()
    assert one.finish(n + gap + 1) == other.finish(n + gap + 1)


@each_decoder
@given(seed=SEEDS, n=st.integers(1, 60))
def test_a_reset_or_finished_decoder_is_a_fresh_one(name, seed, n):
    fresh = make_decoder(TABLE[name], FACTS).state()
    for end in (lambda decoder: decoder.reset(), lambda decoder: decoder.finish(n + 1)):
        decoder = make(name)
        feed(decoder, course(name, seed, n))
        end(decoder)
        assert decoder.state() == fresh


@each_decoder
@given(seed=SEEDS, n=st.integers(1, 60), density=st.sampled_from([0.02, 0.2, 0.9]))
def test_no_output_raises_or_spoils_a_score(name, seed, n, density):
    rng, part, decoder = np.random.default_rng(seed), course(name, seed, n), make(name)
    for values in part[1:]:
        bad = rng.random(values.shape) < density
        values[bad] = rng.choice(POISONS, int(bad.sum())).astype(np.float32)
    for event in feed(decoder, part) + feed(decoder, course(name, seed ^ 1, n, seq=n + 1)):
        assert 0.0 <= event.score <= 1.0
        assert all(0.0 <= word.score <= 1.0 and word.first_seq <= word.last_seq <= event.seq for word in event.words)
    twin = make(name)
    twin.restore(decoder.state())
    assert twin.state() == decoder.state()


@pytest.mark.parametrize("name", [name for name in TABLE if not name.startswith("sampler")])
@given(seed=SEEDS, n=st.integers(1, 80), density=st.sampled_from([0.1, 0.5]), bad=st.sampled_from([np.nan, np.inf]))
def test_a_frame_with_an_unknown_output_is_as_a_missing_one(name, seed, n, density, bad):
    part = course(name, seed, n)
    is_bad = np.random.default_rng(seed).random(n) < density
    poisoned = part.ys.copy()
    poisoned[is_bad, PLACES.get(name, 1 + seed % (SIZE - 1))] = bad
    one, other = make(name), make(name)
    with_bad = feed(one, part._replace(ys=poisoned))
    without = feed(other, part, [slice(i, i + 1) for i in range(n) if not is_bad[i]])
    assert with_bad == without
    assert one.state() == other.state()


@each_decoder
@given(seed=SEEDS, n=st.integers(1, 40), data=st.data())
def test_a_damaged_state_is_refused_or_is_a_state(name, seed, n, data):
    decoder, target = make(name), make(name)
    feed(decoder, course(name, seed, n))
    feed(target, course(name, seed ^ 1, n))
    state, before = decoder.state(), target.state()
    damaged = data.draw(damages(state), "damaged")
    try:
        target.restore(damaged)
    except SnapshotError:
        assert target.state() == before
    else:  # the bytes of another state: then it must be one that can go on
        assert target.state() == damaged
        feed(target, course(name, seed ^ 2, n, seq=n + 1))
        target.finish(2 * n + 1)


def damages(state: bytes) -> st.SearchStrategy[bytes]:
    """The state with a byte changed, cut short or made longer, or other bytes altogether."""
    places = st.integers(0, len(state) - 1)
    return st.one_of(
        st.builds(lambda at, byte: state[:at] + bytes([byte]) + state[at + 1 :], places, st.integers(0, 255)),
        places.map(lambda at: state[:at]),
        st.binary(min_size=1, max_size=9).map(lambda tail: state + tail),
        st.binary(max_size=40),
    )


@each_decoder
def test_a_state_that_is_cut_or_of_another_decoder_is_refused(name):
    decoder = make(name)
    feed(decoder, course(name, 3, 30))
    state = decoder.state()
    others = [make(other).state() for other in TABLE if type(make(other)) is not type(decoder)]
    for bad in (b"", state[:-1], state + b"\0", *others):
        with pytest.raises(SnapshotError):
            decoder.restore(bad)
        assert decoder.state() == state


@each_decoder
def test_the_courses_of_this_file_find_something(name):
    events = [event for seed in range(20) for event in feed(make(name), course(name, seed, 80))]
    assert len(events) >= 20
