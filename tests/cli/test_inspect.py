"""What `inspect` says of a model file, for people and for programs."""

import json

import numpy as np
import pytest

from streamrnn.commands.machine import Limit, gbytes_per_s, peak_gmacs


def test_layers_state_program_and_card_are_there(run, model_files):
    done = run("inspect", model_files["temp"], "--no-measure")
    assert done.returncode == 0
    for expected in (
        "1 float32 in, 1 float32 out, per frame",
        "gru reset after",
        "gru.h 8",
        "LINEAR",
        "card.provenance",
        "bytes of float32 weights",
    ):
        assert expected in done.stdout
    assert "measured" not in done.stdout and "limit" not in done.stdout


def test_json_holds_the_same_and_measures(run, model_files):
    facts = json.loads(run("inspect", model_files["text"], "--json").stdout)
    assert facts["input"] == {"size": 1, "kind": "token", "n_tokens": 11}
    assert facts["n_parameters"] == sum(layer["n_parameters"] for layer in facts["layers"])
    assert 0 < facts["measured"]["limit_us"] < facts["measured"]["step_us"]
    assert facts["card"]["labels"][1] == "a"


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_narrow_weights_are_fewer_bytes(run, model_files, precision):
    wide, narrow = (
        json.loads(run("inspect", model_files["text"], "--no-measure", "--json", "--precision", name).stdout)
        for name in ("float32", precision)
    )
    assert (wide["precision"], narrow["precision"]) == ("float32", precision)
    assert narrow["weight_bytes"] < wide["weight_bytes"]
    assert narrow["n_macs"] == wide["n_macs"]


def test_the_limit_is_arithmetic_or_reading_whichever_is_more():
    small = Limit(n_macs=1_000_000, weight_bytes=16_000, peak_gmacs=50.0, gbytes_per_s=160.0)
    assert small.step_us == small.arithmetic_us == pytest.approx(20.0)
    large = Limit(n_macs=25_000_000, weight_bytes=100_000_000, peak_gmacs=50.0, gbytes_per_s=16.0)
    assert large.step_us == large.reading_us == pytest.approx(100_000_000 / 16e9 * 1e6)
    assert "16 GB/s" in large.describe()


def test_the_machine_is_measured():
    """What any machine that runs this can do: a hundred million multiply-adds and bytes a second."""
    assert peak_gmacs() > 0.1
    assert gbytes_per_s(np.ones(10_000, np.float32)) > 0.1
