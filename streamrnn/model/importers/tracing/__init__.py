"""Tracing: a framework's graph of tensor operations, replayed on symbols, becomes a spec."""
