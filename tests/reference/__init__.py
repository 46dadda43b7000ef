"""The whole of what a spec means, in NumPy float64, written plainly from the equations and as slow as it likes."""

from tests.reference.maps import log_softmax, sigmoid, softmax
from tests.reference.reference import Reference

__all__ = ["Reference", "log_softmax", "sigmoid", "softmax"]
