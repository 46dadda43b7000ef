"""Features as the papers have them: NumPy float64, whole recordings, an FFT, no matrix of ours."""

from __future__ import annotations

import numpy as np


def frames_of(x, window, hop):
    """Windows (n, window) float64 of samples (n_samples,), the first from the first sample on."""
    n = max(0, 1 + (len(x) - window) // hop)
    return np.stack([x[j * hop : j * hop + window] for j in range(n)]).astype(np.float64)


def window_of(name, n):
    """The shape of a window."""
    if name == "hann_periodic":
        return np.hanning(n + 1)[:-1]
    return {
        "povey": np.hanning(n) ** 0.85,
        "hann": np.hanning(n),
        "hamming": np.hamming(n),
        "rectangular": np.ones(n),
    }[name]


def spectra(frames, shape, n_fft, *, remove_dc=True, preemphasis=0.97, scale=32768.0):
    """Powers (n, n_fft // 2 + 1) of windows, and the energies of the windows before pre-emphasis."""
    frames = frames * scale
    if remove_dc:
        frames = frames - frames.mean(axis=1, keepdims=True)
    energy = (frames**2).sum(axis=1)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    return np.abs(np.fft.rfft((frames - preemphasis * before) * shape, n_fft)) ** 2, energy


def kaldi_filters(n_mels, n_fft, rate_hz, low_hz, high_hz):
    """Triangles in mel, as feat/mel-computations.cc makes them one by one."""

    def mel(hz):
        return 1127.0 * np.log(1.0 + hz / 700.0)

    high_hz = high_hz if high_hz > 0 else rate_hz / 2 + high_hz
    step = (mel(high_hz) - mel(low_hz)) / (n_mels + 1)
    weights = np.zeros((n_mels, n_fft // 2 + 1))
    for m in range(n_mels):
        left = mel(low_hz) + m * step
        centre, right = left + step, left + 2 * step
        for i in range(n_fft // 2):
            at = mel(rate_hz / n_fft * i)
            if left < at < right:
                weights[m, i] = (at - left) / step if at <= centre else (right - at) / step
    return weights


def librosa_filters(n_mels, n_fft, rate_hz, low_hz, high_hz, is_htk):
    """Triangles in Hz, as librosa.filters.mel makes them: htk=True, norm=None, or Slaney's scale and norm."""
    high_hz = high_hz if high_hz > 0 else rate_hz / 2 + high_hz
    if is_htk:
        mel = 2595.0 * np.log10(1.0 + np.array([low_hz, high_hz]) / 700.0)
        edges = 700.0 * (10.0 ** (np.linspace(*mel, n_mels + 2) / 2595.0) - 1.0)
    else:
        step = 200.0 / 3
        log_step = np.log(6.4) / 27.0
        mel = [f / step if f < 1000 else 1000 / step + np.log(f / 1000.0) / log_step for f in (low_hz, high_hz)]
        mels = np.linspace(mel[0], mel[1], n_mels + 2)
        edges = np.array([m * step if m < 15 else 1000.0 * np.exp(log_step * (m - 15)) for m in mels])
    ramps = edges[:, None] - np.fft.rfftfreq(n_fft, 1.0 / rate_hz)
    widths = np.diff(edges)
    weights = np.zeros((n_mels, n_fft // 2 + 1))
    for m in range(n_mels):
        weights[m] = np.maximum(0, np.minimum(-ramps[m] / widths[m], ramps[m + 2] / widths[m + 1]))
    return weights if is_htk else weights * (2.0 / (edges[2:] - edges[:-2]))[:, None]


def cepstra(logs, n_ceps, lifter):
    """Cepstral coefficients (n, n_ceps) of logs (n, n_mels): an orthonormal DCT, liftered."""
    n_mels = logs.shape[1]
    found = np.zeros((len(logs), n_ceps))
    for k in range(n_ceps):
        scale = np.sqrt((1 if k == 0 else 2) / n_mels)
        found[:, k] = scale * (logs * np.cos(np.pi * k * (np.arange(n_mels) + 0.5) / n_mels)).sum(axis=1)
        found[:, k] *= 1 + 0.5 * lifter * np.sin(np.pi * k / lifter) if lifter else 1
    return found
