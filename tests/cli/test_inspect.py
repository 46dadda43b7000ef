"""What `inspect` says of a model file, for people and for programs."""

import json

import pytest

from streamrnn.commands.machine import Limit


def test_layers_state_program_and_card_are_there(run, model_files):
    done = run("inspect", model_files["temp"], "--no-measure")
    assert done.returncode == 0
    for expected in (
        "1 float32 in, 1 float32 out, per frame",
        "gru reset after",
        "gru.h 8",
        "LINEAR",
        "card.provenance",
        "limit ",
        "assuming",
    ):
        assert expected in done.stdout
    assert "measured" not in done.stdout


def test_json_holds_the_same_and_measures(run, model_files):
    facts = json.loads(run("inspect", model_files["text"], "--json").stdout)
    assert facts["input"] == {"size": 1, "kind": "token", "n_tokens": 11}
    assert facts["n_parameters"] == sum(layer["n_parameters"] for layer in facts["layers"])
    assert facts["measured"]["step_us"] > 0
    assert facts["card"]["labels"][1] == "a"


def test_the_limit_is_arithmetic_or_reading_whichever_is_more():
    small = Limit(n_macs=1_000_000, weight_bytes=16_000)
    assert small.step_us == pytest.approx(20.0)
    large = Limit(n_macs=25_000_000, weight_bytes=100_000_000)
    assert large.home[0] == "memory"
    assert large.step_us == pytest.approx(100_000_000 / 16e9 * 1e6)
    assert "weights in memory" in large.describe()
