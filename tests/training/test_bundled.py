"""The bundled files: small, whole, documented, and equal to PyTorch frame by frame."""

from __future__ import annotations

import json
import math

import msgspec
import numpy as np
import pytest
import torch

import streamrnn
from streamrnn import bundled
from streamrnn.decode import AnomalyScore, AnomalySettings
from streamrnn.errors import OptionError
from training.data import PROJECT_ROOT, split_contiguous
from training.offline import Offline
from training.recipes.sensor_anomaly import TemperatureNet
from training.series import recordings
from training.series.detection import judge, score_series
from training.sets.nab import nab_series
from training.sets.tinyshakespeare import shakespeare_text
from training.streamed import outputs_of
from training.tbptt import run
from training.text.sampling import write_on
from training.text.token_net import TokenNet

MODELS = ("temperature_anomaly", "char_lm")
MACHINE = "realKnownCause/machine_temperature_system_failure.csv"


def load(name: str) -> streamrnn.Model:
    return streamrnn.load_model(bundled.path(name))


def recording() -> np.ndarray:
    return np.array([row.value for row in recordings.record()])


def net_of(model: streamrnn.Model) -> torch.nn.Module:
    """The recipe's own PyTorch class with the tensors of the model file."""
    by_kind: dict[str, str] = {node.kind: node.name for node in model.spec.nodes}
    tensors = {name: torch.tensor(value) for name, value in model.tensors.items()}

    def part(kind: str, name: str) -> torch.Tensor:
        return tensors[f"{by_kind[kind]}.{name}"]

    if "gru" in by_kind:
        net: torch.nn.Module = TemperatureNet(0.0, 1.0, model.spec.node(by_kind["gru"]).size)
        own = {"normalise.scale": part("affine", "scale"), "normalise.shift": part("affine", "shift")}
        cell, short = "gru", "gru"
    else:
        symbols, size = part("embedding", "weight").shape
        net = TokenNet(symbols, size, model.spec.node(by_kind["lstm"]).size, dropout=0.5)
        own = {"embedding.weight": part("embedding", "weight")}
        cell, short = "lstm", "lstm"
    for weight in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        own[f"{short}.{weight}_l0"] = part(cell, weight)
    own |= {"fc.weight": part("linear", "weight"), "fc.bias": part("linear", "bias")}
    net.load_state_dict(own)
    return net.eval()


def test_names_and_paths():
    spoken = {"digits", "digits_recording", "digits_words", "commands", "commands_recording", "commands_times"}
    assert set(bundled.names()) == {*MODELS, "temperature_recording", *spoken}
    for name in bundled.names():
        assert bundled.path(name).is_file()
    with pytest.raises(OptionError, match="there are temperature_anomaly, char_lm, digits, temperature_recording"):
        bundled.path("speech")


@pytest.mark.parametrize("name", (*MODELS, "digits"))
def test_models_are_small_and_say_where_they_come_from(name):
    assert bundled.path(name).stat().st_size < 1_000_000
    card = load(name).card
    assert card.name == name and card.summary and card.licence and card.attribution
    assert {"data", "source", "data_licence", "seed", "command", "torch", "date", "figures"} <= set(card.provenance)
    assert "--quick" not in str(card.provenance["command"])
    assert card.certificate["max_abs_error"] < 1e-5 * max(1.0, card.certificate["max_abs_output"])
    attribution = (bundled.path(name).parent / "ATTRIBUTION.md").read_text()
    assert bundled.path(name).name in attribution and str(card.provenance["data"]) in attribution


@pytest.mark.parametrize("name", MODELS)
def test_streamed_outputs_equal_pytorch_over_the_whole_sequence(name):
    """Within 1e-5, of the value where that is larger than 1: a log-probability of -30 has steps of 2e-6 in float32."""
    model = load(name)
    if model.n_tokens:
        symbols = model.card.labels  # its own writing: what the model is for, and no data needed
        text = write_on(model, "".join(symbols), "KING ", 3000, seed=5)
        xs = np.array([[symbols.index(symbol)] for symbol in text], np.float32)
        whole = run(net_of(model), torch.tensor(xs[:, 0], dtype=torch.int64)[None], 10_000)[0].numpy()
    else:
        xs = recording()[:, None].astype(np.float32)
        whole = run(net_of(model), torch.tensor(xs)[None], 10_000)[0].numpy()
    engine = streamrnn.Engine()
    engine.add_model(name, model)
    session = engine.open(name)
    streamed = np.stack([session.step(x) for x in xs])
    assert streamed.shape == whole.shape
    bound = 1e-5 * np.maximum(1.0, np.abs(whole))
    assert np.all(np.abs(streamed - whole) < bound)
    assert np.all(np.abs(Offline(model)(torch.tensor(xs)).numpy() - whole) < bound)
    assert np.abs(streamed[:-1] - whole[1:]).max() > 0.1, "outputs that hardly move would agree by themselves"


def test_agreement_on_the_benchmark_series(nab):
    model, values = load("temperature_anomaly"), nab_series(nab, MACHINE).values[:, None].astype(np.float32)
    whole = run(net_of(model), torch.tensor(values)[None], 100_000)[0].numpy()
    assert np.abs(outputs_of(model, values) - whole).max() < 1e-5


def test_labels_are_the_symbols(tinyshakespeare):
    assert load("char_lm").card.labels == tuple(sorted(set(shakespeare_text(tinyshakespeare))))


def test_the_language_model_has_the_bits_of_the_results_file(tinyshakespeare):
    model, text = load("char_lm"), shakespeare_text(tinyshakespeare)
    part = text[split_contiguous(len(text))[2]]
    ids = np.array([model.card.labels.index(symbol) for symbol in part])
    outputs = outputs_of(model, ids[:-1, None].astype(np.float32))
    bits = -outputs[np.arange(len(outputs)), ids[1:]].astype(np.float64).mean() / math.log(2.0)
    results = json.loads((PROJECT_ROOT / "training" / "results" / "char_lm.json").read_text())
    assert bits == pytest.approx(results["figures"]["sizes"]["small"]["streamed_bits"]["test"], abs=1e-4)
    assert np.allclose(np.exp(outputs.astype(np.float64)).sum(axis=1), 1.0, atol=1e-5)


def test_the_results_files_are_of_the_bundled_models():
    for recipe, name in (("sensor_anomaly", "temperature_anomaly"), ("char_lm", "char_lm")):
        results = json.loads((PROJECT_ROOT / "training" / "results" / f"{recipe}.json").read_text())
        made = results["figures"]["sizes"]["small"] if recipe == "char_lm" else results
        provenance = load(name).card.provenance
        assert (made["seed"], made["command"]) == (provenance["seed"], provenance["command"])


def test_the_injected_faults_are_found_with_few_false_alarms():
    model, values = load("temperature_anomaly"), recording()
    settings = msgspec.convert(model.card.provenance["anomaly"], AnomalySettings)
    outputs = outputs_of(model, values[:, None].astype(np.float32))[:, 0]
    onsets = score_series(values, outputs.astype(np.float64), settings).onsets
    faults = [(fault.first, fault.last) for fault in recordings.FAULTS]
    detection = judge(onsets, faults, 0, len(values), 288.0)
    assert detection.n_found == len(faults)
    assert detection.n_false_alarms <= 2


def test_a_session_and_its_score_resume_together_bit_for_bit():
    model, values = load("temperature_anomaly"), recording()[1000:1300]
    settings = msgspec.convert(model.card.provenance["anomaly"], AnomalySettings)
    engine = streamrnn.Engine()
    engine.add_model("m", model)
    session, score = engine.open("m"), AnomalyScore(settings)

    def go_on(session, score, values):
        return [score.frame(float(x), float(session.step(np.array([x], np.float32))[0])) for x in values]

    go_on(session, score, values[:200])
    twin, twin_score = engine.restore(session.snapshot()), AnomalyScore(settings, score.snapshot())
    assert go_on(session, score, values[200:]) == go_on(twin, twin_score, values[200:])
