"""Which features of audio a model hears: the choices of a front end, and names for the usual ones."""

from __future__ import annotations

import re
from typing import Literal, get_args

import msgspec

from streamrnn.errors import OptionError

WindowName = Literal["hann", "povey", "hamming", "rectangular", "hann_periodic"]
"""Symmetric as in Kaldi (`povey` is `hann ** 0.85`), but for `hann_periodic`, the default of torch and librosa."""

MelScale = Literal["kaldi", "htk", "slaney"]
"""Triangular filters. `kaldi`: HTK's scale, triangles straight in mel; `htk`: the same scale, straight in Hz
(torchaudio, librosa `htk=True, norm=None`); `slaney`: Slaney's scale, straight in Hz, of one area each (librosa).
"""

Alignment = Literal["snip_edges", "causal"]
"""`snip_edges`: output j, of those after the delay, covers the samples from `j * hop` on, as in Kaldi. `causal`: the
window ends with the newest sample of the frame, and before the first sample there are zeros: no delay.
"""

LogName = Literal["log", "log10", "none"]
Normalisation = Literal["none", "fixed", "running"]

MAX_HOPS = 64
"""Most hops that a window touches; each is a node of its own."""
INT16 = 32768.0
"""Kaldi's samples are integers, ours are in [-1, 1]."""


class Frontend(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The choices of a front end; the defaults are Kaldi's filter banks, with 80 filters and without dither.

    Attributes:
        sample_rate_hz: of the samples.
        frame_length_ms, frame_shift_ms: window and hop; in samples they are rounded down.
        window: its shape.
        align: where the windows lie.
        remove_dc: whether each window is less its mean.
        preemphasis: coefficient c of `x[n] - c x[n - 1]` within each window, 0 to 1.
        round_to_power_of_two: whether the DFT is as long as the next power of two, else as the window.
        use_power: squared magnitudes, else magnitudes.
        n_mels: filters; 0 for the spectrum itself.
        low_hz, high_hz: where the first filter begins and the last ends; `high_hz` of 0 or below counts from half the
            sample rate.
        mel_scale: of the filters.
        log: of what the filters give (of the spectrum, where there are none).
        log_floor: smaller values count as this one; at least the smallest normal float32.
        use_energy: the log of the energy of the raw window as first value: in place of C0, or before the filters.
        n_ceps: cepstral coefficients; 0 for none.
        lifter: Q of the weights `1 + Q/2 sin(pi i / Q)` of coefficient i; 0 for none.
        delta_order: how many times differences are taken; each follows behind those before it.
        delta_window: w of a difference, which looks w frames back and w ahead.
        normalisation: `fixed` takes `mean` and `std` (one a feature); `running` takes those of all frames so far.
        mean, std: of `fixed`.
        input_scale: what samples in [-1, 1] are multiplied by.
    """

    sample_rate_hz: float = 16000.0
    frame_length_ms: float = 25.0
    frame_shift_ms: float = 10.0
    window: WindowName = "povey"
    align: Alignment = "snip_edges"
    remove_dc: bool = True
    preemphasis: float = 0.97
    round_to_power_of_two: bool = True
    use_power: bool = True
    n_mels: int = 80
    low_hz: float = 20.0
    high_hz: float = 0.0
    mel_scale: MelScale = "kaldi"
    log: LogName = "log"
    log_floor: float = 2.0**-23
    use_energy: bool = False
    n_ceps: int = 0
    lifter: float = 0.0
    delta_order: int = 0
    delta_window: int = 2
    normalisation: Normalisation = "none"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    input_scale: float = INT16

    def __post_init__(self) -> None:
        """Check the choices.

        Raises:
            OptionError: names the field and what was expected.
        """
        for field, known in (
            ("window", WindowName),
            ("align", Alignment),
            ("mel_scale", MelScale),
            ("log", LogName),
            ("normalisation", Normalisation),
        ):
            _expect(getattr(self, field) in get_args(known), self, field, f"one of {', '.join(get_args(known))}")
        _expect(1 <= self.sample_rate_hz <= 1e6, self, "sample_rate_hz", "1 to 1,000,000 Hz")
        _expect(self.hop >= 1, self, "frame_shift_ms", "at least one sample")
        _expect(2 <= self.window_size <= 2**16, self, "frame_length_ms", "2 to 65,536 samples")
        _expect(self.n_hops <= MAX_HOPS, self, "frame_length_ms", f"at most {MAX_HOPS} times the shift")
        _expect(0 <= self.preemphasis <= 1, self, "preemphasis", "0 to 1")
        _expect(0 <= self.n_mels <= 1024, self, "n_mels", "0 to 1024")
        _expect(0 <= self.low_hz < self.top_hz <= self.sample_rate_hz / 2, self, "low_hz",
                f"at least 0 and below high_hz, and that at most {self.sample_rate_hz / 2:g} Hz")  # fmt: skip
        _expect(0 < self.log_floor < 1e30, self, "log_floor", "above 0")
        _expect(0 <= self.n_ceps <= self.n_mels, self, "n_ceps", "0 to n_mels")
        _expect(not self.n_ceps or self.log != "none", self, "log", "a logarithm, which cepstra are made of")
        _expect(self.lifter >= 0, self, "lifter", "at least 0")
        _expect(0 <= self.delta_order <= 8, self, "delta_order", "0 to 8")
        _expect(1 <= self.delta_window <= 1000, self, "delta_window", "1 to 1000 frames")
        n = self.size if self.normalisation == "fixed" else 0
        _expect(len(self.mean) == n, self, "mean", f"{n} values (normalisation is {self.normalisation!r})")
        is_good = len(self.std) == n and all(value > 0 for value in self.std)
        _expect(is_good, self, "std", f"{n} values above 0 (normalisation is {self.normalisation!r})")
        _expect(0 < self.input_scale < 1e9, self, "input_scale", "above 0")

    @property
    def hop(self) -> int:
        """Samples in a frame."""
        return _samples(self.sample_rate_hz, self.frame_shift_ms)

    @property
    def window_size(self) -> int:
        """Samples in a window."""
        return _samples(self.sample_rate_hz, self.frame_length_ms)

    @property
    def n_fft(self) -> int:
        """Points of the DFT."""
        n = self.window_size
        return 1 << (n - 1).bit_length() if self.round_to_power_of_two else n

    @property
    def top_hz(self) -> float:
        """Where the last filter ends."""
        return self.high_hz if self.high_hz > 0 else self.sample_rate_hz / 2 + self.high_hz

    @property
    def n_static(self) -> int:
        """Features of one window alone."""
        if self.n_ceps:
            return self.n_ceps
        return (self.n_mels or self.n_fft // 2 + 1) + self.use_energy

    @property
    def size(self) -> int:
        """Features in all."""
        return self.n_static * (1 + self.delta_order)

    @property
    def n_hops(self) -> int:
        """Frames of samples that a window touches."""
        return -(-self.window_size // self.hop)

    @property
    def delay(self) -> int:
        """Frames by which its outputs come behind those of the same number in Kaldi."""
        lag = self.n_hops - 1 if self.align == "snip_edges" else 0
        return lag + self.delta_order * self.delta_window

    @property
    def rate_hz(self) -> float:
        """Frames a second."""
        return self.sample_rate_hz / self.hop


def _samples(rate_hz: float, length_ms: float) -> int:
    """Rounded down as in Kaldi, but not for want of a last bit."""
    return int(round(rate_hz * length_ms / 1000, 6))


def _expect(is_good: bool, frontend: Frontend, field: str, expected: str) -> None:
    if not is_good:
        raise OptionError(f"{field} of a front end must be {expected}, got {getattr(frontend, field)!r}")


NAME = re.compile(r"(fbank|mfcc|logmel)([1-9]\d{0,3})(?:@([1-9]\d{0,6}))?")
PRESETS = ("fbank40", "fbank80", "fbank80@8000", "mfcc13", "mfcc40", "logmel64")
"""Examples of the names that `parse_frontend` knows."""


def parse_frontend(chosen: str | Frontend) -> Frontend:
    """The front end of a name: a family, its number of features, and where it is not 16 kHz, `@` and the sample rate.

    - `fbank80`: Kaldi's filter banks, 80 filters.
    - `mfcc13`: Kaldi's MFCC as its recipes take them: lifter 22, no energy, 23 filters, or as many as coefficients.
    - `logmel64`: librosa's log mel spectrogram: Slaney's filters of a periodic Hann window, samples in [-1, 1], floor
      1e-10, causal.

    Raises:
        OptionError: there is no such name.
    """
    if isinstance(chosen, Frontend):
        return chosen
    found = NAME.fullmatch(chosen)
    if not found:
        expected = f"a name such as {', '.join(PRESETS)}"
        raise OptionError(f"a front end must be a Frontend or {expected}, got {chosen!r}")
    family, n, rate_hz = found[1], int(found[2]), float(found[3] or 16000)
    if family == "fbank":
        return Frontend(sample_rate_hz=rate_hz, n_mels=n)
    if family == "mfcc":
        return Frontend(sample_rate_hz=rate_hz, n_mels=max(n, 23), n_ceps=n, lifter=22.0)
    return Frontend(
        sample_rate_hz=rate_hz, n_mels=n, window="hann_periodic", align="causal", remove_dc=False, preemphasis=0.0,
        low_hz=0.0, mel_scale="slaney", log_floor=1e-10, input_scale=1.0,
    )  # fmt: skip
