"""A front end gives what kaldi-native-fbank, and float64 formulas, give of real recordings; in a stream, to the bit."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

import streamrnn
from streamrnn import Frontend, Model, Node, Spec
from streamrnn.errors import OptionError, SpecError
from streamrnn.model.frontend.attach import frontend_model, with_frontend
from streamrnn.model.frontend.filters import mel_filters
from streamrnn.model.frontend.frontend import PRESETS, parse_frontend
from streamrnn.model.frontend.graph import frontend_nodes
from tests.model.offline_frontend import cepstra, frames_of, kaldi_filters, librosa_filters, spectra, window_of
from tests.model.recordings import digits, made_sound

TOLERANCE = 1e-3
RATES_HZ = (8000, 16000)
SOUND = made_sound(8000)
KALDI_WINDOWS = {"hann": "hanning"}


@pytest.fixture(scope="module")
def recordings() -> dict[int, list[np.ndarray]]:
    """Digits at 8 kHz, and the same at 16 kHz as a recorder would have them: in whole numbers."""
    found = digits()
    doubled = [np.rint(streamrnn.Resampler(8000, 16000).push(x) * 32768) for x in found]
    return {8000: found, 16000: [x.astype(np.float32) / 32768 for x in doubled]}


def open_session(model: Model) -> streamrnn.Session:
    """A session of that model alone."""
    engine = streamrnn.Engine()
    engine.add_model("m", model)
    return engine.open("m")


def streamed(model: Model, x: np.ndarray) -> np.ndarray:
    """The outputs of whole frames of samples, those of the delay left out."""
    n = len(x) // model.input_size
    ys = open_session(model).run(x[: n * model.input_size].reshape(n, -1))
    return ys[model.spec.delay :]


def by_kaldi(frontend: Frontend, x: np.ndarray) -> np.ndarray:
    """The features that kaldi-native-fbank gives of samples in [-1, 1], without dither."""
    knf = pytest.importorskip("kaldi_native_fbank")
    options = knf.MfccOptions() if frontend.n_ceps else knf.FbankOptions()
    frame = options.frame_opts
    frame.samp_freq, frame.dither = frontend.sample_rate_hz, 0.0
    frame.frame_length_ms, frame.frame_shift_ms = frontend.frame_length_ms, frontend.frame_shift_ms
    frame.preemph_coeff, frame.remove_dc_offset = frontend.preemphasis, frontend.remove_dc
    frame.window_type = KALDI_WINDOWS.get(frontend.window, frontend.window)
    frame.round_to_power_of_two, frame.snip_edges = frontend.round_to_power_of_two, True
    mel = options.mel_opts
    mel.num_bins, mel.low_freq, mel.high_freq = frontend.n_mels, frontend.low_hz, frontend.high_hz
    options.use_energy, options.energy_floor = frontend.use_energy, 0.0
    if frontend.n_ceps:
        options.num_ceps, options.cepstral_lifter = frontend.n_ceps, frontend.lifter
    else:
        options.use_power, options.use_log_fbank = frontend.use_power, frontend.log == "log"
    online = (knf.OnlineMfcc if frontend.n_ceps else knf.OnlineFbank)(options)
    online.accept_waveform(frontend.sample_rate_hz, (x * 32768.0).tolist())
    online.input_finished()
    return np.array([online.get_frame(j) for j in range(online.num_frames_ready)])


def by_formula(frontend: Frontend, x: np.ndarray) -> np.ndarray:
    """The features by NumPy in float64, of windows from the first sample on."""
    shape = window_of(frontend.window, frontend.window_size)
    power, energy = spectra(
        frames_of(x, frontend.window_size, frontend.hop), shape, frontend.n_fft,
        remove_dc=frontend.remove_dc, preemphasis=frontend.preemphasis, scale=frontend.input_scale,
    )  # fmt: skip
    sizes = (frontend.n_mels, frontend.n_fft, frontend.sample_rate_hz, frontend.low_hz, frontend.high_hz)
    if frontend.mel_scale == "kaldi":
        filters = kaldi_filters(*sizes)
    else:
        filters = librosa_filters(*sizes, is_htk=frontend.mel_scale == "htk")
    spectrum = power if frontend.use_power else np.sqrt(power)
    logs = np.log(np.maximum(spectrum @ filters.T, frontend.log_floor))
    energy = np.log(np.maximum(energy, frontend.log_floor))[:, None]
    if not frontend.n_ceps:
        return np.concatenate([energy, logs], axis=1) if frontend.use_energy else logs
    found = cepstra(logs, frontend.n_ceps, frontend.lifter)
    return np.concatenate([energy, found[:, 1:]], axis=1) if frontend.use_energy else found


def worst(frontend: Frontend, recordings: list[np.ndarray], *references) -> list[float]:
    """The largest differences over recordings: of the stream to each reference, and of the first one to the last."""
    model = frontend_model(frontend)
    errors = []
    for x in recordings:
        got = streamed(model, x)
        expected = [reference(frontend, x) for reference in references]
        assert all(0 <= len(y) - len(got) <= 1 for y in expected)  # a hop that is not whole may end a window
        pairs = [(got, y[: len(got)]) for y in expected] + [(expected[0], expected[-1])]
        errors.append([np.abs(a - b).max() for a, b in pairs])
    return [float(error) for error in np.max(errors, axis=0)]


KALDI = {
    "fbank80": Frontend(),
    "fbank40": Frontend(n_mels=40),
    "fbank23": Frontend(n_mels=23, high_hz=-400.0),
    "fbank40 with energy": Frontend(n_mels=40, use_energy=True),
    "fbank40 hamming": Frontend(n_mels=40, window="hamming", preemphasis=0.9),
    "fbank40 hann": Frontend(n_mels=40, window="hann"),
    "fbank40 rectangular": Frontend(n_mels=40, window="rectangular", preemphasis=0.0),
    "fbank40 magnitudes": Frontend(n_mels=40, use_power=False),
    "fbank40 32/8 ms": Frontend(n_mels=40, frame_length_ms=32.0, frame_shift_ms=8.0),
    "fbank40 20/25 ms": Frontend(n_mels=40, frame_length_ms=20.0, frame_shift_ms=25.0),
    "fbank40 with its offset": Frontend(n_mels=40, remove_dc=False),
    "mfcc13": parse_frontend("mfcc13"),
    "mfcc13 with energy": replace(parse_frontend("mfcc13"), use_energy=True),
    "mfcc40": parse_frontend("mfcc40"),
    "mfcc20 unliftered": replace(parse_frontend("mfcc20"), lifter=0.0, n_mels=30),
}


FAINT = {("fbank80", 8000), ("fbank80", 16000), ("mfcc13", 16000), ("mfcc13 with energy", 16000), ("mfcc40", 16000)}
"""Where filters of one bin stand beside an offset, or above 4 kHz, which recordings of 8 kHz leave empty: 90 dB below
the loudest, float32 moves the log of a filter by more than 1e-3, be it ours or the peer's.
"""


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("name", KALDI)
def test_kaldi_native_fbank_gives_the_same(name, rate_hz, recordings, record_property):
    frontend = replace(KALDI[name], sample_rate_hz=float(rate_hz))
    to_kaldi, to_formula, kaldi_to_formula = worst(frontend, recordings[rate_hz], by_kaldi, by_formula)
    record_property(
        "figure",
        f"front end {name} at {rate_hz} Hz: {to_kaldi:.1e} from kaldi-native-fbank, {to_formula:.1e} from float64, "
        f"and they from each other {kaldi_to_formula:.1e}",
    )
    if (name, rate_hz) in FAINT:
        assert to_formula < max(TOLERANCE, 1.5 * kaldi_to_formula)
        assert to_kaldi < TOLERANCE + 1.5 * kaldi_to_formula
    else:
        assert to_kaldi < TOLERANCE and to_formula < TOLERANCE


FORMULAS = {
    "fbank80 at 8 kHz": parse_frontend("fbank80@8000"),
    "htk": Frontend(n_mels=40, mel_scale="htk", window="hann_periodic", preemphasis=0.0, remove_dc=False),
    "slaney": replace(parse_frontend("logmel64@8000"), align="snip_edges"),
    "slaney, 40 filters of a DFT of 400": replace(
        parse_frontend("logmel40"), align="snip_edges", round_to_power_of_two=False
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_formulas_give_the_same(name, recordings, record_property):
    frontend = FORMULAS[name]
    error, _ = worst(frontend, recordings[round(frontend.sample_rate_hz)], by_formula)
    record_property("figure", f"front end {name}: {error:.1e} from float64")
    assert error < TOLERANCE


def test_an_offset_of_the_recorder_does_not_matter(recordings):
    """Half a hundred times louder than the noise: the reason why the mean is taken off before the filters."""
    louder = [x + np.float32(0.02) for x in recordings[8000]]
    assert worst(parse_frontend("fbank40@8000"), louder, by_formula)[0] < TOLERANCE


@pytest.mark.parametrize("mel_scale", ["kaldi", "htk", "slaney"])
@pytest.mark.parametrize(("n_mels", "rate_hz", "low_hz", "high_hz"), [(23, 8000, 20, 0), (64, 16000, 0, -400)])
def test_the_filters_are_those_of_the_equations(mel_scale, n_mels, rate_hz, low_hz, high_hz):
    frontend = Frontend(
        sample_rate_hz=rate_hz, n_mels=n_mels, low_hz=low_hz, high_hz=high_hz, mel_scale=mel_scale
    )  # fmt: skip
    sizes = (n_mels, frontend.n_fft, rate_hz, low_hz, high_hz)
    expected = kaldi_filters(*sizes) if mel_scale == "kaldi" else librosa_filters(*sizes, mel_scale == "htk")
    np.testing.assert_allclose(mel_filters(frontend), expected, atol=1e-12)


@pytest.mark.parametrize("norm", ["slaney", ""])
def test_the_filters_are_those_of_librosa_in_kaldi_native_fbank(norm):
    knf = pytest.importorskip("kaldi_native_fbank")
    options, frame = knf.MelBanksOptions(), knf.FrameExtractionOptions()
    options.num_bins, options.low_freq, options.is_librosa = 64, 0.0, True
    options.norm, options.use_slaney_mel_scale = norm, norm == "slaney"
    frame.samp_freq = 16000
    expected = np.array(knf.MelBanks(options, frame).get_matrix())
    got = mel_filters(Frontend(n_mels=64, low_hz=0.0, mel_scale="slaney" if norm else "htk"))
    np.testing.assert_allclose(got[:, : expected.shape[1]], expected, atol=1e-5 * expected.max())


def test_causal_windows_end_with_the_newest_sample(recordings):
    frontend = replace(parse_frontend("fbank40"), align="causal")
    model = frontend_model(frontend)
    assert model.spec.delay == 0
    for x in recordings[16000][:3]:
        n = len(x) // 160
        before = np.concatenate([np.zeros(240, np.float32), x[: n * 160]])
        expected = by_formula(frontend, before)
        assert np.abs(streamed(model, x) - expected).max() < TOLERANCE
    aligned = replace(frontend, frame_length_ms=30.0)
    snipped = frontend_model(replace(aligned, align="snip_edges"))
    ours = streamed(frontend_model(aligned), recordings[16000][0])
    assert np.array_equal(ours[snipped.spec.delay :], streamed(snipped, recordings[16000][0]))


@pytest.mark.parametrize("order", [1, 2])
def test_differences_are_kaldis_from_the_first_frame_on(order, recordings):
    knf = pytest.importorskip("kaldi_native_fbank")
    frontend = replace(parse_frontend("mfcc13@8000"), delta_order=order)
    ahead = 2 * order
    for x in recordings[8000][:6]:
        got = streamed(frontend_model(frontend), x)
        features = by_kaldi(replace(frontend, delta_order=0), x)
        expected = knf.compute_deltas(knf.DeltaOptions(order=order, window=2), features)
        assert len(got) > ahead
        assert np.abs(got - expected[: len(got)]).max() < TOLERANCE


@pytest.mark.parametrize("delta_order", [0, 2])
def test_running_normalisation_begins_with_the_first_frame(delta_order):
    frontend = replace(parse_frontend("fbank40@8000"), delta_order=delta_order)
    raw = streamed(frontend_model(frontend), SOUND).astype(np.float64)
    got = streamed(frontend_model(replace(frontend, normalisation="running")), SOUND)
    for j in range(len(raw)):
        seen = raw[: j + 1]
        expected = (raw[j] - seen.mean(axis=0)) / np.sqrt(seen.var(axis=0) + 1e-5)
        np.testing.assert_allclose(got[j], expected, atol=TOLERANCE)


def test_fixed_normalisation():
    frontend = parse_frontend("fbank40@8000")
    raw = streamed(frontend_model(frontend), SOUND)
    mean, std = raw.mean(axis=0, dtype=np.float64), raw.std(axis=0, dtype=np.float64)
    fixed = replace(frontend, normalisation="fixed", mean=tuple(map(float, mean)), std=tuple(map(float, std)))
    got = streamed(frontend_model(fixed), SOUND)
    np.testing.assert_allclose(got, (raw - mean) / std, atol=1e-4)


def test_spectrum_and_log10():
    x = SOUND
    frontend = Frontend(sample_rate_hz=8000.0, n_mels=0, log="none")
    power, _ = spectra(frames_of(x, 200, 80), window_of("povey", 200), 256)
    got = streamed(frontend_model(frontend), x)
    assert got.shape[1] == 129
    np.testing.assert_allclose(got, power[: len(got)], rtol=1e-3, atol=1e-7 * power.max())
    frontend = parse_frontend("fbank40@8000")
    logs = streamed(frontend_model(frontend), x)
    np.testing.assert_allclose(
        streamed(frontend_model(replace(frontend, log="log10")), x), logs / np.log(10), atol=1e-4
    )


@pytest.mark.parametrize("chosen", ["fbank40@8000", "mfcc13@8000"])
def test_any_chunking_gives_the_same_bits(chosen):
    frontend = replace(parse_frontend(chosen), delta_order=1, normalisation="running")
    model = frontend_model(frontend)
    x = SOUND[:2500]
    expected = streamed(model, x)
    rng = np.random.default_rng(3)
    for size in (1, 37, 80, 200, 8000, None):
        reframer, session = streamrnn.Reframer(model.input_size), open_session(model)
        ends = np.cumsum(rng.integers(1, 500, 40) if size is None else np.full(-(-len(x) // size), size))
        found = [session.run(reframer.push(chunk)) for chunk in np.split(x, ends[ends < len(x)])]
        assert np.array_equal(np.concatenate(found)[model.spec.delay :], expected)


def classifier(frontend: Frontend, steps: int = 1) -> Model:
    """A small net over features: a convolution, a cell, a running mean, and the frame before."""
    rng = np.random.default_rng(1)
    n = frontend.size
    nodes = (
        Node("x", "input", n, steps=steps),
        Node("conv", "conv", 8, ("x",), kernel=3, steps=steps, groups=1, stride=1),
        Node("tanh", "tanh", 8, ("conv",), steps=steps),
        Node("gru", "gru", 8, ("tanh",), steps=steps),
        Node("before", "previous", 8, ("gru",), steps=steps),
        Node("mean", "running_mean", 8, ("gru",), steps=steps),
        Node("sum", "add", 8, ("before", "mean"), steps=steps),
    )
    spec = Spec(nodes, "sum")
    shapes = {
        "conv.weight": (8, n, 3), "conv.bias": (8,), "gru.weight_ih": (24, 8), "gru.weight_hh": (24, 8),
        "gru.bias_ih": (24,), "gru.bias_hh": (24,),
    }  # fmt: skip
    tensors = {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    return Model(spec, tensors, streamrnn.Card(name="net", input_names=tuple(map(str, range(n * steps)))))


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("align", ["snip_edges", "causal"])
@pytest.mark.parametrize("delta_order", [0, 1])
def test_a_model_behind_a_front_end_hears_the_features_alone(steps, align, delta_order):
    frontend = replace(parse_frontend("fbank23@8000"), align=align, delta_order=delta_order)
    bare = classifier(frontend, steps)
    model = with_frontend(bare, frontend)
    assert model.input_size == 80 * steps and model.input_channels == 1
    assert model.spec.delay == -(-frontend.delay // steps)
    assert model.card.rate_hz == pytest.approx(100 / steps) and not model.card.input_names
    x = SOUND
    features = streamed(frontend_model(frontend), x)
    got = streamed(model, x)
    expected = open_session(bare).run(features[: len(got) * steps].reshape(len(got), -1))
    assert len(got) > 5
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_a_front_end_stays_exact_in_every_precision():
    x = SOUND
    model = frontend_model("mfcc13@8000")
    for precision in ("bfloat16", "int8"):
        assert np.array_equal(streamed(model.with_precision(precision), x), streamed(model, x))


def test_what_a_front_end_gives_can_be_saved(tmp_path):
    frontend = parse_frontend("fbank23@8000")
    model = with_frontend(classifier(frontend), frontend)
    model.save(tmp_path / "net.safetensors")
    again = streamrnn.load_model(tmp_path / "net.safetensors")
    assert again.digest == model.digest and again.spec.delay == 2
    x = SOUND
    assert np.array_equal(streamed(again, x), streamed(model, x))


def test_a_snapshot_amid_the_delay_changes_no_bit():
    frontend = replace(parse_frontend("fbank23@8000"), delta_order=1, normalisation="running")
    model = with_frontend(classifier(frontend), frontend)
    frames = SOUND[: 80 * 20].reshape(20, 80)
    expected = open_session(model).run(frames)
    for at in (1, 2, 3, 5, 9):
        session = open_session(model)
        first = session.run(frames[:at])
        engine = streamrnn.Engine()
        engine.add_model("m", model)
        rest = engine.restore(session.snapshot()).run(frames[at:])
        assert np.array_equal(np.concatenate([first, rest]), expected)


def test_a_batch_gives_the_bits_of_lone_sessions():
    frontend = replace(parse_frontend("mfcc13@8000"), delta_order=1, use_energy=True, normalisation="running")
    model = frontend_model(frontend)
    frames = SOUND[: 80 * 90].reshape(90, 80)
    engine = streamrnn.Engine()
    engine.add_model("m", model)
    sessions = [engine.open("m") for _ in range(9)]
    # Each hears the sound from another hop on.
    ys = [engine.step_many(sessions, np.stack([frames[n + s] for s in range(9)])) for n in range(30)]
    for s in range(9):
        assert np.array_equal(np.stack([y[s] for y in ys]), open_session(model).run(frames[s : s + 30]))


def test_choices_survive_json():
    frontend = replace(parse_frontend("mfcc13"), delta_order=2)
    assert msgspec.json.decode(msgspec.json.encode(frontend), type=Frontend) == frontend


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name):
    frontend = parse_frontend(name)
    nodes, tensors, output, delay = frontend_nodes(frontend)
    Model(Spec(nodes, output, delay=delay), tensors)
    assert next(node.size for node in nodes if node.name == output) == frontend.size == int(name[-2:]) or "@" in name
    assert delay == (0 if name.startswith("logmel") else 2)


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"window": "blackman"}, "window .* one of hann"),
        ({"mel_scale": "bark"}, "mel_scale"),
        ({"frame_shift_ms": 0.0}, "frame_shift_ms"),
        ({"low_hz": 9000.0}, "low_hz"),
        ({"high_hz": 9000.0}, "high_hz"),
        ({"n_ceps": 81}, "n_ceps"),
        ({"n_ceps": 13, "log": "none"}, "log .* cepstra"),
        ({"log_floor": 0.0}, "log_floor"),
        ({"delta_window": 0}, "delta_window"),
        ({"normalisation": "fixed"}, "mean .* 80 values"),
        ({"mean": (1.0,)}, "mean .* 0 values"),
        ({"sample_rate_hz": float("nan")}, "sample_rate_hz"),
    ],
)
def test_choices_that_cannot_be_are_refused(choice, text):
    with pytest.raises(OptionError, match=text):
        Frontend(**choice)


@pytest.mark.parametrize("name", ["fbank", "fbank0", "plp13", "fbank80@", "mfcc13@0"])
def test_an_unknown_name_is_refused_with_examples(name):
    with pytest.raises(OptionError, match="mfcc13"):
        parse_frontend(name)


def test_a_model_that_does_not_fit_is_refused():
    frontend = parse_frontend("fbank23@8000")
    bare = classifier(frontend)
    with pytest.raises(SpecError, match="40 features, this one reads 23"):
        with_frontend(bare, "fbank40@8000")
    with pytest.raises(SpecError, match="without a front end"):
        with_frontend(frontend_model(replace(frontend, n_mels=0, frame_length_ms=0.25)), "fbank1@8000")
    tokens = Model(Spec((Node("x", "input", 1, n_tokens=5),), "x"), {})
    with pytest.raises(SpecError, match="token ids"):
        with_frontend(tokens, frontend)
    with pytest.raises(SpecError, match="50 frames a second"):
        with_frontend(bare.with_card(streamrnn.Card(rate_hz=50.0)), frontend)
