"""The sampler: what it draws, when it tells it, and that a draw depends on seed, seq and output alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamrnn.decode.decoder import Facts
from streamrnn.decode.draw import draw, mix, uniform
from streamrnn.decode.event import Event
from streamrnn.decode.generation import Generation
from streamrnn.decode.sampler import Sampler
from streamrnn.decode.settings import SamplerSettings
from streamrnn.errors import OptionError, UsageError

LABELS = ("a", "b", "c", "d")
FACTS = Facts(1, 4, LABELS)
PROBABILITIES = np.array([0.5, 0.125, 0.25, 0.125])
LOGS = np.log(PROBABILITIES)


def feed(sampler: Sampler, seq: int, *outputs: np.ndarray) -> list[Event]:
    ys = np.array(outputs, dtype=np.float32)
    return sampler.feed(seq, ys[:, :1], ys)


def armed(generation: Generation, seq: int = 1) -> Sampler:
    sampler = Sampler(SamplerSettings(), FACTS)
    feed(sampler, seq - 1, LOGS)
    sampler.arm(seq, generation)
    return sampler


def test_the_mixer_is_splitmix64():
    """The first outputs of splitmix64.c for seed 0."""
    golden = 0x9E3779B97F4A7C15
    assert [mix(golden * n % 2**64) for n in (1, 2, 3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_uniform_numbers_are_uniform_and_their_own_for_every_seed_and_seq():
    draws = np.array([[uniform(seed, seq) for seq in range(200)] for seed in range(200)])
    counts = np.histogram(draws, bins=64, range=(0.0, 1.0))[0]
    assert ((counts - draws.size / 64) ** 2 / (draws.size / 64)).sum() < 103.4  # chi-square, 63 degrees, 0.1 %
    assert len(np.unique(draws)) == draws.size
    assert abs(np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(draws[:, :-1].ravel(), draws[:, 1:].ravel())[0, 1]) < 0.02
    assert 0.0 <= uniform(2**63 - 1, 2**63 - 1) < 1.0


@pytest.mark.parametrize(
    ("temperature", "top_k", "expected"),
    [
        (1.0, 0, PROBABILITIES),
        (1.0, 9, PROBABILITIES),
        (0.5, 0, PROBABILITIES**2 / (PROBABILITIES**2).sum()),
        (1.0, 2, np.array([2 / 3, 0, 1 / 3, 0])),
        (1.0, 3, np.array([4 / 7, 1 / 7, 2 / 7, 0])),
    ],
)
def test_tokens_come_as_often_as_they_should(temperature, top_k, expected):
    n = 8000
    tokens = [draw(LOGS, temperature, top_k, uniform(5, seq)) for seq in range(n)]
    counts = np.bincount(tokens, minlength=4)
    there = expected > 0
    assert counts[~there].sum() == 0
    chi_square = ((counts[there] - n * expected[there]) ** 2 / (n * expected[there])).sum()
    assert chi_square < 16.3  # 3 degrees, 0.1 %


@pytest.mark.parametrize(
    ("u", "token"), [(0.0, 0), (0.4999, 0), (0.5, 1), (0.6249, 1), (0.625, 2), (0.8749, 2), (0.875, 3), (1 - 2**-53, 3)]
)
def test_a_draw_is_where_the_sum_passes_the_number(u, token):
    assert draw(np.log2(PROBABILITIES) * math.log(2), 1.0, 0, u) == token


@pytest.mark.parametrize("u", [0.0, 0.3, 1 - 2**-53])
def test_what_cannot_be_is_never_drawn(u):
    assert draw(np.array([-np.inf, 0.0, -np.inf]), 1.0, 0, u) == 1
    assert draw(LOGS, 1e-300, 0, u) == 0
    assert draw(np.array([0.0, 1.0, 1.0]), 0.0, 0, u) == 1
    assert draw(np.array([0.0, 1.0, 1.0]), 1.0, 1, u) == 1


def test_golden_tokens():
    """What seed 42 gives stays what it gives: a generation can be had again in a later release."""
    sampler = armed(Generation(12, seed=42))
    events = feed(sampler, 1, *[LOGS] * 12)
    assert [event.token for event in events] == [3, 0, 0, 2, 0, 0, 2, 0, 2, 2, 0, 0]
    assert [event.seq for event in events] == list(range(1, 13))


def test_a_generation_tells_each_token_and_ends_by_its_length():
    sampler = armed(Generation(2, temperature=0.0))
    assert (sampler.next_seq, sampler.next_token) == (1, 0)
    assert feed(sampler, 1, LOGS[::-1]) == [Event("token", 1, "a", pytest.approx(0.5), 0)]
    assert (sampler.next_seq, sampler.next_token) == (2, 3)
    assert feed(sampler, 2, LOGS) == [Event("token", 2, "d", pytest.approx(0.5), 3, "length")]
    assert sampler.next_token is None
    assert feed(sampler, 3, LOGS) == []


def test_the_stop_token_ends_it():
    sampler = armed(Generation(9, temperature=0.0, stop=3))
    assert [(e.text, e.cause) for e in feed(sampler, 1, LOGS, LOGS[::-1], LOGS)] == [
        ("a", ""),
        ("a", ""),
        ("d", "stop"),
    ]
    assert sampler.next_token is None


def test_arming_again_draws_the_same_token_and_begins_to_count_anew():
    generation = Generation(3, temperature=2.0, seed=11)
    sampler = armed(generation)
    token = sampler.next_token
    sampler.arm(1, generation)
    assert sampler.next_token == token
    feed(sampler, 1, LOGS)
    sampler.arm(2, generation)
    assert len(feed(sampler, 2, *[LOGS] * 5)) == 3


def test_it_can_be_disarmed_and_armed_again():
    sampler = armed(Generation(5))
    sampler.disarm()
    assert sampler.next_token is None and feed(sampler, 1, LOGS) == []
    sampler.arm(2, Generation(5))
    assert sampler.next_token is not None


def test_without_an_output_there_is_nothing_to_draw_from():
    sampler = Sampler(SamplerSettings(), FACTS)
    for forget in (sampler.reset, lambda: sampler.finish(3)):
        with pytest.raises(UsageError, match="frame before"):
            sampler.arm(0, Generation(1))
        feed(sampler, 0, LOGS)
        forget()
    feed(sampler, 4, np.full(4, np.nan))
    with pytest.raises(UsageError, match="frame before"):
        sampler.arm(5, Generation(1))


def test_an_unknown_output_is_passed_over():
    """The token is told, and the next one is drawn from the output before."""
    sampler, bad = armed(Generation(9, temperature=0.0)), LOGS.copy()
    bad[2] = np.nan
    assert [event.token for event in feed(sampler, 1, LOGS[::-1], bad, LOGS)] == [0, 3, 3]
    assert sampler.next_token == 0


def test_a_token_whose_frame_is_missing_was_not_taken():
    sampler = armed(Generation(9))
    assert feed(sampler, 2, LOGS) == []
    assert sampler.next_token is None


@pytest.mark.parametrize("kind", ["log", "probability", "logit"])
def test_every_kind_of_output_is_drawn_from_alike(kind):
    sampler = Sampler(SamplerSettings("class", kind), Facts(1, 5, LABELS, {"class": (1, 5)}))
    outputs = {"log": LOGS, "probability": PROBABILITIES, "logit": LOGS + 3.0}[kind]
    feed(sampler, 0, np.concatenate([[np.nan], outputs]))
    sampler.arm(1, Generation(1, seed=3))
    event = feed(sampler, 1, np.concatenate([[np.nan], outputs]))[0]
    assert event.token == draw(LOGS, 1.0, 0, uniform(3, 1))
    assert event.score == pytest.approx(PROBABILITIES[event.token], rel=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0}, {"n": 10**7}, {"temperature": -1.0}, {"temperature": math.nan}, {"top_k": -1}, {"seed": -1},
        {"seed": 2**63}, {"stop": -2},
    ],
)  # fmt: skip
def test_a_generation_that_cannot_be_is_refused(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        Generation(**({"n": 1} | wrong))


def test_a_stop_token_that_the_model_does_not_have_is_refused():
    sampler = armed(Generation(5, temperature=0.0))
    with pytest.raises(OptionError, match="stop"):
        sampler.arm(1, Generation(1, stop=4))
    assert sampler.next_token == 0
