"""What `inspect` says of a model file, for people and for programs."""

import json

import msgspec
import numpy as np
import pytest

import streamrnn
from streamrnn import bundled
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
    assert facts["input"] == {"size": 1, "kind": "token", "n_tokens": 11, "steps": 1, "channels": 1}
    assert facts["output"] == {"size": 11, "steps": 1, "heads": [], "delay": 0}
    assert facts["n_parameters"] == sum(layer["n_parameters"] for layer in facts["layers"])
    assert 0 < facts["measured"]["limit_us"] < facts["measured"]["step_us"]
    assert facts["card"]["labels"][1] == "a"


def test_the_time_contract(run, model_files):
    text = run("inspect", model_files["headed"], "--no-measure").stdout
    for expected in (
        "frame       2 steps of 1 value\n",
        "output      3 values: speech 1, noise 2\n",
        "rate        100 frames, 200 steps a second\n",
        "delay       1 frame (0.01 s): output n belongs to frame n - 1\n",
        "mean_pool kernel 2, stride 2",
        "2 x 1",
    ):
        assert expected in text
    facts = json.loads(run("inspect", model_files["headed"], "--no-measure", "--json").stdout)
    assert (facts["input"]["steps"], facts["input"]["channels"], facts["rate_hz"]) == (2, 1, 100.0)
    assert facts["output"]["heads"] == [{"name": "speech", "size": 1}, {"name": "noise", "size": 2}]
    assert facts["output"]["delay"] == 1
    assert facts["layers"][2]["options"] == {"kernel": 2, "stride": 2}


def test_the_certificate(run, model_files, tmp_path):
    assert "verdict     none: it was never compared" in run("inspect", model_files["temp"], "--no-measure").stdout
    old = streamrnn.load_model(bundled.path("temperature_anomaly"))  # written before there was a verdict
    text = run("inspect", bundled.path("temperature_anomaly"), "--no-measure").stdout
    assert "verdict     passed: within 0.0001" in text and "card.certificate" not in text
    assert "largest error 1.67e-06, largest output 4.421" in text
    parts = {"heads": {"a": {"max_abs_error": 1e-6, "max_abs_output": 1.0}, "b": {"max_abs_error": 0.5}}}
    example = {"passed": True, "n_frames": 12, "n_compared": 12, "max_abs_error": 1e-6, "max_rel_error": 5e-7}
    more = {"passed": False, "max_abs_error": 0.5, "example": example, "versions": {"numpy": "2"}, "vector_width": 8}
    certificate = old.card.certificate | more | parts
    card = msgspec.structs.replace(old.card, certificate=certificate)
    old.with_card(card).save(tmp_path / "failed.safetensors")
    text = run("inspect", tmp_path / "failed.safetensors", "--no-measure").stdout
    for expected in (
        "verdict     FAILED: it differs from torch 2.13.0+cpu by 0.5 (largest output 4.42) on random frames",
        "head b: largest error 5.00e-01",
        "example     12 frames, 12 outputs: largest error 1.00e-06, relative 5.00e-07",
        "chunkings   256, 7, 1 frames a call",
        "bfloat16 weights would change outputs by up to 0.0074; int8",
        "numpy 2; vectors of 8 lanes",
    ):
        assert expected in text
    facts = json.loads(run("inspect", tmp_path / "failed.safetensors", "--no-measure", "--json").stdout)
    assert facts["certificate"]["passed"] is False
    assert "differs from torch" in facts["certificate"]["fault"]


def test_a_certificate_that_cannot_be_read_is_no_model(run, model_files, tmp_path):
    model = streamrnn.load_model(model_files["temp"])
    model.with_card(streamrnn.Card(certificate={"passed": "yes"})).save(tmp_path / "m.safetensors")
    done = run("inspect", tmp_path / "m.safetensors")
    assert (done.returncode, "the certificate cannot be read" in done.stderr) == (1, True)


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
