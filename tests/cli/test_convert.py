"""What PyTorch saved becomes a model file, or is refused with the reason."""

import json
import pickle

import numpy as np
import pytest
import torch

import streamrnn


class Detector(torch.nn.Module):
    """An LSTM with a head, as in a tutorial."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(3, 8, batch_first=True)
        self.fc = torch.nn.Linear(8, 2)

    def forward(self, x):
        """Answer the last step."""
        out, _ = self.lstm(x)
        return self.fc(out[:, -1])


@pytest.fixture
def module():
    torch.manual_seed(3)
    return Detector().eval()


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"layers": [{"kind": "lstm", "name": "lstm"}, {"kind": "linear", "name": "fc"}]}))
    return path


def check(module, path):
    """The file's model answers as the module does."""
    xs = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    engine = streamrnn.Engine()
    engine.add_model("model", streamrnn.load_model(path))
    ys = engine.open("model").run(xs)
    with torch.no_grad():
        assert np.abs(module(torch.tensor(xs)[None]).numpy()[0] - ys[-1]).max() < 1e-5


def test_a_whole_module(run, module, tmp_path):
    torch.save(module, tmp_path / "detector.pt")
    refused = run("convert", tmp_path / "detector.pt", tmp_path / "out.safetensors")
    assert refused.returncode == 2
    assert "add --trust-pickle" in refused.stderr
    done = run("convert", tmp_path / "detector.pt", tmp_path / "out.safetensors", "--trust-pickle")
    assert done.returncode == 0, done.stderr
    assert "largest error to PyTorch" in done.stdout
    check(module, tmp_path / "out.safetensors")


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"state_dict": state, "epoch": 3}])
def test_a_state_dict_with_a_spec(run, module, spec, tmp_path, wrap):
    torch.save(wrap(module.state_dict()), tmp_path / "weights.pth")
    without = run("convert", tmp_path / "weights.pth", tmp_path / "out.safetensors")
    assert without.returncode == 2
    assert "holds a state_dict (lstm.weight_ih_l0, " in without.stderr
    done = run("convert", tmp_path / "weights.pth", tmp_path / "out.safetensors", "--spec", spec)
    assert done.returncode == 0, done.stderr
    check(module, tmp_path / "out.safetensors")


def test_plain_safetensors_with_a_spec(run, module, spec, tmp_path):
    from safetensors.torch import save_file

    save_file(module.state_dict(), tmp_path / "weights.safetensors")
    bare = run("convert", tmp_path / "weights.safetensors", tmp_path / "out.safetensors")
    assert "error [bad_model_file]" in bare.stderr
    done = run("convert", tmp_path / "weights.safetensors", tmp_path / "out.safetensors", "--spec", spec)
    assert done.returncode == 0, done.stderr
    check(module, tmp_path / "out.safetensors")


def test_a_model_file_is_written_anew_with_another_card(run, model_files, tmp_path):
    (tmp_path / "card.json").write_text('{"name": "renamed", "rate_hz": 50.0}')
    done = run("convert", model_files["temp"], tmp_path / "out.safetensors", "--card", tmp_path / "card.json")
    assert done.returncode == 0, done.stderr
    model = streamrnn.load_model(tmp_path / "out.safetensors")
    assert model.card.name == "renamed"
    assert model.card.certificate["int8"]["max_abs_error"] > 0
    assert "int8 weights would change outputs by up to" in done.stdout
    assert model.digest == streamrnn.load_model(model_files["temp"]).digest


def test_what_cannot_be_streamed_is_refused_by_name(run, tmp_path):
    torch.save(torch.nn.LSTM(3, 4, bidirectional=True), tmp_path / "both.pt")
    done = run("convert", tmp_path / "both.pt", tmp_path / "out.safetensors", "--trust-pickle")
    assert done.returncode == 1
    assert "error [unsupported]" in done.stderr
    assert "bidirectional" in done.stderr


@pytest.mark.parametrize("content", [b"", b"not a zip file", pickle.dumps([1, 2, 3])[:5]])
def test_a_damaged_file_is_one_line(run, tmp_path, content):
    (tmp_path / "broken.pt").write_bytes(content)
    for options in ((), ("--trust-pickle",)):
        done = run("convert", tmp_path / "broken.pt", tmp_path / "out.safetensors", *options)
        assert done.returncode in (1, 2)
        assert "error [internal]" not in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["{", "[]", '{"layers": [{"kind": "attention"}]}', '{"layers": [{"kind": "lstm"}]}'])
def test_a_faulty_spec_is_one_line(run, module, tmp_path, text):
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    (tmp_path / "spec.json").write_text(text)
    done = run("convert", tmp_path / "weights.pt", tmp_path / "out.safetensors", "--spec", tmp_path / "spec.json")
    assert done.returncode == 1
    assert "error [bad_spec]" in done.stderr


def test_a_faulty_card_is_one_line(run, model_files, tmp_path):
    (tmp_path / "card.json").write_text('{"nome": "x"}')
    done = run("convert", model_files["temp"], tmp_path / "out.safetensors", "--card", tmp_path / "card.json")
    assert done.returncode == 1
    assert "error [bad_model_file]" in done.stderr
