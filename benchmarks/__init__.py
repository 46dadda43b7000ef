"""Benchmarks: check first, then time; figures are ratios within one run. `python -m benchmarks` runs them all."""
