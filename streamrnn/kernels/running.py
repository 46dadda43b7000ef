"""Statistics over all steps since a session began, each for one session: their state is updated step by step.

A count is a float32 behind the other values of the state. It stops at 2**24, as far as float32 counts; from there on a
mean forgets what is long ago. `n` is padded, `n_exact` values are read, and the padding of the state stays as it was.
"""

from streamrnn.kernels.jit import inlined, outlined
from streamrnn.kernels.memory import load, load_part, load_scalar, store, store_scalar
from streamrnn.kernels.simd import VECTOR_BYTES, broadcast, fma, lane, larger, select_less, square_root

LARGEST_COUNT = 16777216.0


@inlined
def _count(place):
    """A vector of the number at `place`, which goes up by one."""
    before = broadcast(load_scalar(place))
    limit = broadcast(LARGEST_COUNT)
    count = select_less(before, limit, before + broadcast(1.0), limit)
    store_scalar(place, lane(count, 0))
    return count


@outlined
def running_mean(x, mean, out, n, n_exact):
    """`mean += (x - mean) / count`. mean: (n,), then the count; updated in place and copied to `out`."""
    count = _count(mean + 4 * n)
    for j in range(0, 4 * n, VECTOR_BYTES):
        old = load(mean + j)
        new = old + (load_part(x, j, 4 * n_exact) - old) / count
        store(mean + j, new)
        store(out + j, new)


@outlined
def running_max(x, largest, out, n, n_exact):
    """The largest so far. largest: (n,), updated in place and copied to `out`."""
    for j in range(0, 4 * n, VECTOR_BYTES):
        new = larger(load(largest + j), load_part(x, j, 4 * n_exact))
        store(largest + j, new)
        store(out + j, new)


@outlined
def running_stats(x, mean, out, n, n_exact, eps):
    """Mean and standard deviation so far, or x less the mean, over the deviation. Source: Welford 1962.

    mean: (n,), then the sum of squared deviations (n,), then the count; updated in place. out: mean and deviation, (n,)
    each, where `eps` is 0; else it is an address, and `out` is `(x - mean) / sqrt(variance + eps)`.
    """
    n_bytes = 4 * n
    limit = broadcast(LARGEST_COUNT)
    before = broadcast(load_scalar(mean + 2 * n_bytes))
    count = _count(mean + 2 * n_bytes)
    # Once the count stands still, the sum forgets at the pace of the mean, or the variance would rise for ever.
    kept = select_less(before, limit, broadcast(1.0), broadcast(1.0 - 1.0 / LARGEST_COUNT))
    for j in range(0, n_bytes, VECTOR_BYTES):
        value, old = load_part(x, j, 4 * n_exact), load(mean + j)
        delta = value - old
        new = old + delta / count
        squares = fma(delta, value - new, load(mean + n_bytes + j) * kept)
        store(mean + j, new)
        store(mean + n_bytes + j, squares)
        variance = squares / count
        if eps == 0:
            store(out + j, new)
            store(out + n_bytes + j, square_root(variance))
        else:
            store(out + j, (value - new) / square_root(variance + broadcast(load_scalar(eps))))
