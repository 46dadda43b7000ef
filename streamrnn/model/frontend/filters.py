"""The matrices of a front end, made in float64: windowed DFT, mel filters, cosine transform, differences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamrnn.model.frontend.frontend import Frontend, MelScale, WindowName

Matrix = NDArray[np.float64]


def window_shape(name: WindowName, n: int) -> Matrix:
    """The weights of a window's `n` samples.

    Source: Kaldi, feat/feature-window.cc (FeatureWindowFunction); the periodic one is `torch.hann_window(n)`.
    """
    t = np.arange(n)
    if name == "hann_periodic":
        return 0.5 - 0.5 * np.cos(2 * np.pi * t / n)
    turn = np.cos(2 * np.pi * t / (n - 1))
    hann = 0.5 - 0.5 * turn
    match name:
        case "hann":
            return hann
        case "povey":
            return np.maximum(hann, 0.0) ** 0.85
        case "hamming":
            return 0.54 - 0.46 * turn
        case _:
            return np.ones(n)


def preemphasis(c: float, n: int) -> Matrix:
    """The matrix of `x[i] - c x[i - 1]` within a window, whose first sample is its own predecessor, as in Kaldi."""
    matrix: Matrix = np.eye(n) - c * np.eye(n, k=-1)
    matrix[0, 0] -= c
    return matrix


def dft(frontend: Frontend, bins: NDArray[np.intp]) -> tuple[Matrix, Matrix]:
    """Cosine and sine parts (bins, window) of the spectrum of a window.

    With `remove_dc` the filters are orthogonal to a constant, so that what float32 has left of the mean does not leak
    into the lowest bins, whatever was taken off before.
    """
    n = frontend.window_size
    angle = 2 * np.pi / frontend.n_fft * (np.outer(bins, np.arange(n)) % frontend.n_fft)
    shape = frontend.input_scale * window_shape(frontend.window, n)
    before = preemphasis(frontend.preemphasis, n)
    if frontend.remove_dc:
        before -= before.mean(axis=1, keepdims=True)
    return (np.cos(angle) * shape) @ before, (-np.sin(angle) * shape) @ before


def to_mel(scale: MelScale, hz: Matrix) -> Matrix:
    """Mel of Hz. Source: O'Shaughnessy (HTK, Kaldi): `1127 ln(1 + f / 700)`; Slaney's Auditory Toolbox, 1998."""
    if scale != "slaney":
        return 1127.0 * np.log1p(hz / 700.0)
    above = 15.0 + 27.0 * np.log(np.maximum(hz, 1000.0) / 1000.0) / np.log(6.4)
    return np.where(hz < 1000.0, hz * 3.0 / 200.0, above)


def from_mel(scale: MelScale, mel: Matrix) -> Matrix:
    """Hz of mel, the inverse of `to_mel`."""
    if scale != "slaney":
        return 700.0 * np.expm1(mel / 1127.0)
    above = 1000.0 * np.exp((np.maximum(mel, 15.0) - 15.0) * np.log(6.4) / 27.0)
    return np.where(mel < 15.0, mel * 200.0 / 3.0, above)


def mel_filters(frontend: Frontend) -> Matrix:
    """Weights (n_mels, n_fft // 2 + 1) of the spectrum in each filter; Kaldi leaves out the bin at half the rate.

    Source: Kaldi, feat/mel-computations.cc; librosa.filters.mel.
    """
    scale, n_bins = frontend.mel_scale, frontend.n_fft // 2 + 1
    ends = to_mel(scale, np.array([frontend.low_hz, frontend.top_hz]))
    edges = np.linspace(ends[0], ends[1], frontend.n_mels + 2)
    places: Matrix = frontend.sample_rate_hz / frontend.n_fft * np.arange(n_bins, dtype=np.float64)
    if scale == "kaldi":
        places = to_mel(scale, places)
    else:
        edges = from_mel(scale, edges)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    weights: Matrix = np.minimum((places - left) / (centre - left), (right - places) / (right - centre))
    weights = np.maximum(weights, 0.0)
    if scale == "kaldi" and frontend.n_fft % 2 == 0:
        weights[:, -1] = 0.0
    return weights * 2.0 / (right - left) if scale == "slaney" else weights


def cosine_transform(frontend: Frontend) -> Matrix:
    """Cepstral coefficients (n_ceps, n_mels) of the logs of the filters, liftered.

    Source: Kaldi, matrix/matrix-functions.cc (ComputeDctMatrix), feat/mel-computations.cc (ComputeLifterCoeffs).
    """
    n, order = frontend.n_mels, np.arange(frontend.n_ceps)
    matrix: Matrix = np.sqrt(2.0 / n) * np.cos(np.pi / n * np.outer(order, np.arange(n) + 0.5))
    matrix[0] = np.sqrt(1.0 / n)
    q = frontend.lifter
    return matrix if q == 0 else matrix * (1.0 + 0.5 * q * np.sin(np.pi * order / q))[:, None]


def difference(order: int, window: int) -> Matrix:
    """Weights of `2 * order * window + 1` frames, oldest first, in the difference of an order.

    Source: Kaldi, feat/feature-functions.cc (DeltaFeatures): the slope of a line through 2w + 1 frames, repeated.
    """
    slope = np.arange(-window, window + 1, dtype=np.float64)
    slope /= (slope**2).sum()
    weights = np.ones(1)
    for _ in range(order):
        weights = np.convolve(weights, slope)
    return weights
