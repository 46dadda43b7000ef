"""Step kernels: numpy and numba only. Vectors, tiles, activations, ops and the program runner."""
