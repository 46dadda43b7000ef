"""Recurrences that `training.cells` exports as one operator each."""

from __future__ import annotations

from streamrnn.model.importers.aten.table import Call, constant, op
from streamrnn.model.importers.tracing.symbol import Constant, Symbol


@op("streamrnn:min_gru")
def min_gru(call: Call, x: Symbol, weight: Constant, bias: Constant) -> Symbol:
    """A minimal GRU."""
    return call.trace.min_gru(x, constant(weight, "weight"), constant(bias, "bias"), name=call.layer)


@op("streamrnn:diagonal")
def diagonal(call: Call, x: Symbol, decay_re: Constant, decay_im: Constant) -> Symbol:
    """A diagonal linear recurrence of complex numbers."""
    return call.trace.diagonal(x, constant(decay_re, "decay"), constant(decay_im, "decay"), name=call.layer)


@op("streamrnn:selective_scan")
def selective_scan(call: Call, x: Symbol, delta: Symbol, a: Constant, b: Symbol, c: Symbol, d: Constant) -> Symbol:
    """Mamba's selective scan."""
    return call.trace.ssm(x, delta, constant(a, "A"), b, c, constant(d, "D"), name=call.layer)
