"""Comparisons, and choices by them."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamrnn.model.importers.aten.table import Call, op
from streamrnn.model.importers.tracing.symbol import Constant, Symbol


def _value(x: Any) -> Symbol | Constant:
    return x if isinstance(x, Symbol) else np.asarray(x, np.float64)


@op("gt", "greater")
def greater(call: Call, a: Any, b: Any) -> Symbol:
    """`a > b`."""
    return call.trace.greater(_value(a), _value(b))


@op("ge", "greater_equal")
def greater_equal(call: Call, a: Any, b: Any) -> Symbol:
    """`a >= b`."""
    return call.trace.greater(_value(a), _value(b), is_strict=False)


@op("lt", "less")
def less(call: Call, a: Any, b: Any) -> Symbol:
    """`a < b`."""
    return greater(call, b, a)


@op("le", "less_equal")
def less_equal(call: Call, a: Any, b: Any) -> Symbol:
    """`a <= b`."""
    return greater_equal(call, b, a)


@op("sign")
def sign(call: Call, x: Symbol) -> Symbol:
    """-1, 0 or 1."""
    return call.trace.sign(x)


@op("logical_not", "bitwise_not")
def logical_not(call: Call, condition: Symbol) -> Symbol:
    """Of a comparison."""
    return call.trace.negated(condition)


@op("logical_and", "bitwise_and", "__and__")
def logical_and(call: Call, a: Any, b: Any) -> Symbol:
    """Of comparisons."""
    return call.trace.binary("mul", _value(a), _value(b))


@op("logical_or", "bitwise_or", "__or__")
def logical_or(call: Call, a: Any, b: Any) -> Symbol:
    """Of comparisons."""
    return call.trace.binary("maximum", _value(a), _value(b))


@op("where")
def where(call: Call, condition: Any, yes: Any, no: Any) -> Symbol:
    """One value or the other."""
    return call.trace.choose(_value(condition), _value(yes), _value(no))


@op("masked_fill")
def masked_fill(call: Call, x: Any, condition: Any, value: Any) -> Symbol:
    """x, or a number where a condition is so."""
    return where(call, condition, value, x)
