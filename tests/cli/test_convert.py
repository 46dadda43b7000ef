"""What PyTorch saved becomes a model file, or is refused with the reason."""

import json
import pickle
import warnings
import wave

import numpy as np
import pytest
import torch

import streamrnn
from streamrnn.commands.example import read_example, shapes_of
from streamrnn.errors import OptionError
from tests.cli.conftest import sensor_model


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
    assert "verdict     passed" in done.stdout
    assert f"framework   torch {torch.__version__}" in done.stdout
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
    named = run("convert", tmp_path / "out.safetensors", tmp_path / "named.safetensors", "--name", "again")
    assert named.returncode == 0, named.stderr
    card = streamrnn.load_model(tmp_path / "named.safetensors").card
    assert (card.name, card.rate_hz) == ("again", 50.0)
    assert model.card.certificate["int8"]["max_abs_error"] > 0
    assert "int8 weights would change outputs by up to" in done.stdout
    assert model.digest == streamrnn.load_model(model_files["temp"]).digest


def test_another_card_does_not_undo_a_proof_that_failed(run, tmp_path):
    model = sensor_model()
    failed = {"framework": "torch 2", "passed": False, "max_abs_error": 0.5, "max_abs_output": 1.0}
    model.with_card(streamrnn.Card(certificate=failed)).save(tmp_path / "in.safetensors")
    (tmp_path / "card.json").write_text('{"certificate": {"passed": true, "max_abs_error": 0.0}}')
    done = run("convert", tmp_path / "in.safetensors", tmp_path / "out.safetensors", "--card", tmp_path / "card.json")
    assert "WARNING" in done.stderr and "differs from torch 2 by 0.5" in done.stderr
    assert streamrnn.load_model(tmp_path / "out.safetensors").certificate.passed is False


def frames_of(kind, folder):
    """The same 40 frames of 3 values, in a file of some kind."""
    xs = np.random.default_rng(1).normal(2.0, 3.0, (40, 3)).astype(np.float32)
    path = folder / f"frames.{kind}"
    match kind:
        case "npy":
            np.save(path, xs[None])  # as the module takes it
        case "npz":
            np.savez(path, x=xs, y=np.zeros(3))
        case "csv":
            path.write_text("a,b,c\n" + "\n".join(",".join(f"{v:.9g}" for v in row) for row in xs))
    return path


@pytest.mark.parametrize("kind", ["npy", "npz", "csv"])
def test_the_users_example_is_tried_too(run, module, tmp_path, kind):
    torch.save(module, tmp_path / "detector.pt")
    example = frames_of(kind, tmp_path)
    out = tmp_path / "out.safetensors"
    done = run("convert", tmp_path / "detector.pt", out, "--trust-pickle", "--example", example)
    assert done.returncode == 0, done.stderr
    assert "example     40 frames" in done.stdout
    found = streamrnn.load_model(out).certificate
    assert (found.example.passed, found.example.n_frames, found.is_pooled) == (True, 40, True)
    check(module, out)


class Erratic(torch.nn.Module):
    """A layer whose forward does what no layer says."""

    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 2)

    def forward(self, x):
        """The layer's output, an unknown distance from it."""
        return Distance.apply(self.fc(x))


class Distance(torch.autograd.Function):
    """An operation that no importer knows."""

    @staticmethod
    def forward(_, x):
        """Half more than there was."""
        return torch.from_numpy(x.numpy() * 1.5)


def test_a_model_that_differs_is_written_by_force_alone_and_served_by_force_alone(run, tmp_path):
    torch.save(Erratic(), tmp_path / "erratic.pt")
    out = tmp_path / "out.safetensors"
    refused = run("convert", tmp_path / "erratic.pt", out, "--trust-pickle")
    assert refused.returncode == 1
    assert "error [unsupported]" in refused.stderr
    assert not out.exists()
    forced = run("convert", tmp_path / "erratic.pt", out, "--trust-pickle", "--force")
    assert forced.returncode == 0, forced.stderr
    assert "verdict     FAILED: it differs from torch" in forced.stdout
    assert "WARNING" in forced.stderr and "--force-unproven" in forced.stderr
    assert streamrnn.load_model(out).certificate.passed is False
    served = run("serve", "--model", f"m={out}", "--port", "0")
    assert served.returncode == 1
    assert "error [unproven]: model 'm' is not served: it differs from torch" in served.stderr


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("m.bin", (), "expected a file ending in one of .pt, .pth, .onnx, .keras, .json, .safetensors"),
        ("m.json", ("--force",), "--force says nothing of a .json file"),
        ("m.onnx", ("--trust-pickle",), "--trust-pickle says nothing of a .onnx file"),
        ("m.keras", ("--time-axis", "1"), "--time-axis says nothing of a .keras file"),
    ],
)
def test_options_that_do_not_suit_the_file_are_refused(run, tmp_path, name, options, expected):
    (tmp_path / name).write_bytes(b"x")
    done = run("convert", tmp_path / name, tmp_path / "out.safetensors", *options)
    assert (done.returncode, expected in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("options", [("--time-axis", "x"), ("--state", "h"), ("--state", "h=a", "--state", "h=b")])
def test_faulty_options_are_refused(run, tmp_path, options):
    (tmp_path / "m.onnx").write_bytes(b"x")
    done = run("convert", tmp_path / "m.onnx", tmp_path / "out.safetensors", *options)
    assert done.returncode == 2, done.stderr


@pytest.mark.parametrize(("package", "name"), [("torch", "m.pt"), ("onnx", "m.onnx"), ("h5py", "m.keras")])
def test_a_missing_package_is_named_with_its_extra(run, tmp_path, monkeypatch, package, name):
    monkeypatch.setattr("importlib.util.find_spec", lambda wanted: None if wanted == package else wanted)
    (tmp_path / name).write_bytes(b"x")
    done = run("convert", tmp_path / name, tmp_path / "out.safetensors")
    assert (done.returncode, "pip install 'streamrnn[import]'" in done.stderr) == (1, True), done.stderr


def test_torchscript_is_refused_with_what_to_do(run, module, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls it deprecated
        torch.jit.trace(torch.nn.Linear(3, 2), torch.zeros(1, 3)).save(tmp_path / "script.pt")
    for options in ((), ("--trust-pickle",)):
        done = run("convert", tmp_path / "script.pt", tmp_path / "out.safetensors", *options)
        assert done.returncode == 1
        assert "is a TorchScript archive" in done.stderr
    (tmp_path / "m.pt2").write_bytes(b"x")
    done = run("convert", tmp_path / "m.pt2", tmp_path / "out.safetensors")
    assert (done.returncode, "convert the module that it was made of" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("x.txt", b"1", "an example must end in one of .npy, .npz, .csv, .wav"),
        ("x.npy", b"1", "x.npy cannot be read"),
        ("x.npz", b"1", "x.npz cannot be read"),
        ("x.wav", b"1", "x.wav cannot be read"),
        ("x.csv", b"a\n1\nb\n", "expected a number, got 'b'"),
        ("x.csv", b"a\nnan\n", "holds NaN or infinity"),
    ],
)
def test_a_faulty_example_is_one_line(run, module, tmp_path, name, content, expected):
    torch.save(module, tmp_path / "detector.pt")
    (tmp_path / name).write_bytes(content)
    done = run("convert", tmp_path / "detector.pt", tmp_path / "out.safetensors", "--example", tmp_path / name)
    assert done.returncode in (1, 2)
    assert expected in done.stderr


def test_an_npz_of_several_arrays_needs_one_named_x(tmp_path):
    np.savez(tmp_path / "many.npz", a=np.zeros(3), b=np.ones(3))
    with pytest.raises(OptionError, match="one named 'x'; it holds a, b"):
        read_example(tmp_path / "many.npz")
    np.savez(tmp_path / "one.npz", a=np.ones(3))
    assert np.array_equal(read_example(tmp_path / "one.npz"), np.ones(3))


def test_a_wav_is_samples_in_minus_1_to_1(tmp_path):
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.array([[0, -32768], [16384, 32767]], "<i2").tobytes())
    samples = read_example(tmp_path / "x.wav")
    np.testing.assert_array_equal(samples, np.array([[0, -1], [0.5, 32767 / 32768]], np.float32))


def test_the_shapes_in_which_a_network_may_want_frames():
    assert [x.shape for x in shapes_of(np.zeros((5, 2)) + 0.5)] == [(1, 5, 2), (5, 1, 2), (1, 2, 5), (5, 2)]
    assert [x.shape for x in shapes_of(np.full(5, 0.5))] == [(1, 5, 1), (5, 1, 1), (1, 1, 5), (5, 1), (1, 5), (5,)]
    ids = list(shapes_of(np.arange(5)))
    assert [(x.shape, x.dtype.kind) for x in ids] == [((1, 5), "i"), ((5, 1), "i"), ((5,), "i")]
    assert [x.shape for x in shapes_of(np.zeros((1, 5, 2)))] == [(1, 5, 2)]


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
