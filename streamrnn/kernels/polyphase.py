"""A change of sample rate: each output is one phase of a filter over the newest samples. `warmup` leaves it out."""

from streamrnn.kernels.jit import tool


@tool("void(float32[::1], float64[:,::1], intp, intp, float32[::1])")
def resample(x, phases, first, step, y):
    """Write `y[m] = sum over k of phases[p, k] * x[i + k]`; i, p: quotient, rest of `(first + m * step) / n_phases`.

    x: (n,) float32, oldest first. phases: (n_phases, n_taps) float64, n_taps a multiple of 4. first, step: in phases,
    at least 0. y: (m,) float32, written; the caller sees to it that no window ends behind x.

    Each output is the sum of four chains over every fourth k, in order, whatever the chunk: that keeps the bits.
    """
    n_phases, n_taps = phases.shape
    at = first
    for m in range(y.size):
        i, p = at // n_phases, at % n_phases
        a = b = c = d = 0.0
        for k in range(0, n_taps, 4):
            a += phases[p, k] * x[i + k]
            b += phases[p, k + 1] * x[i + k + 1]
            c += phases[p, k + 2] * x[i + k + 2]
            d += phases[p, k + 3] * x[i + k + 3]
        y[m] = (a + b) + (c + d)
        at += step
