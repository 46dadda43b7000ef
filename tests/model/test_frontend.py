"""A front end gives what kaldi-native-fbank, and float64 formulas, give of real recordings; in a stream, to the bit."""

from __future__ import annotations

import kaldi_native_fbank as knf
import numpy as np
import pytest
from msgspec.structs import replace

import streamrnn
from streamrnn import Frontend
from streamrnn.model.frontend.attach import frontend_model
from streamrnn.model.frontend.filters import mel_filters
from streamrnn.model.frontend.frontend import parse_frontend
from tests.model.listening import streamed
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


def by_kaldi(frontend: Frontend, x: np.ndarray) -> np.ndarray:
    """The features that kaldi-native-fbank gives of samples in [-1, 1], without dither."""
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
