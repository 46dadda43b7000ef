"""Hostile clients played against a real server, with ordinary sessions beside them: `python -m benchmarks.attack`."""
