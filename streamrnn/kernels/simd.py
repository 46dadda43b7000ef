"""A vector of float32 lanes as a numba type, so that kernels read as formulas and never depend on auto-vectorisation.

Vectors live in registers; `memory` moves them. Lane-wise `+ - * /` are single IEEE operations and `fma` is one fused
multiply-add: nothing here may be contracted or reassociated, which is what makes every tile shape and batch give the
same bits. The lane count is a property of the process (`WIDTH`); LLVM splits a vector that is wider than the host's
registers.
"""

import operator
import os

from llvmlite import binding, ir
from numba.core import types
from numba.core.datamodel import models, register_default
from numba.extending import intrinsic, overload

PANEL_SIZE = 16
"""Outputs of one weight panel; every region of a state or work row is padded to a multiple of it (float32 elements)."""


def host_width():
    """Lanes of the host's float32 registers: 16 (AVX-512), 8 (AVX), else 4; `STREAMRNN_VECTOR_WIDTH` overrides."""
    forced = os.environ.get("STREAMRNN_VECTOR_WIDTH")
    if forced is not None:
        if forced not in {"4", "8", "16"}:
            raise ValueError(f"STREAMRNN_VECTOR_WIDTH must be 4, 8 or 16, got {forced!r}")
        return int(forced)
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 16
    return 8 if features.get("avx") else 4


WIDTH = host_width()
VECTOR_BYTES = 4 * WIDTH
GROUP_SIZE = 8 if WIDTH == 16 else 4
"""Panels that stand together in the packed weights: as many chains as a lone session keeps in registers."""

FLOAT = ir.FloatType()
LANES = ir.VectorType(FLOAT, WIDTH)
INT_LANES = ir.VectorType(ir.IntType(32), WIDTH)
"""LLVM's names for a lane, a register of lanes, and a register of as many int32."""


class VectorType(types.Type):
    """Numba's view of one register of `WIDTH` float32 lanes."""

    def __init__(self):
        super().__init__(name=f"float32x{WIDTH}")


vector_type = VectorType()


@register_default(VectorType)
class VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    """Stored as the LLVM vector itself."""

    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, LANES)


def splat(builder, scalar):
    """The LLVM value whose every lane is `scalar` (float)."""
    undefined = ir.Constant(LANES, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(INT_LANES, [0] * WIDTH))


def call_lanes(builder, name: str, *args):
    """Call the LLVM intrinsic `name` (as `llvm.fma`) on whole vectors."""
    function_type = ir.FunctionType(LANES, [LANES] * len(args))
    callee = builder.module.globals.get(f"{name}.v{WIDTH}f32") or ir.Function(
        builder.module, function_type, f"{name}.v{WIDTH}f32"
    )
    return builder.call(callee, args)


@intrinsic
def is_zero(typing_context, a):
    """Whether every lane is 0 (of either sign); a NaN is not."""

    def codegen(context, builder, signature, args):
        differs = builder.fcmp_unordered("!=", args[0], ir.Constant(LANES, [0.0] * WIDTH))
        bits = builder.bitcast(differs, ir.IntType(WIDTH))
        return builder.icmp_unsigned("==", bits, ir.Constant(bits.type, 0))

    return types.boolean(vector_type), codegen


@intrinsic
def broadcast(typing_context, scalar):
    """A vector whose every lane is `scalar` (float32, or a literal that is exact or rounded to float32)."""
    return vector_type(types.float32), lambda context, builder, signature, args: splat(builder, args[0])


@intrinsic
def fma(typing_context, a, b, c):
    """`a * b + c` in each lane, rounded once."""

    def codegen(context, builder, signature, args):
        return call_lanes(builder, "llvm.fma", *args)

    return vector_type(vector_type, vector_type, vector_type), codegen


def _lane_by_lane(name: str, n_args: int):
    """A function whose lanes are those of the LLVM intrinsic `name`."""

    def codegen(context, builder, signature, args):
        return call_lanes(builder, name, *args)

    if n_args == 1:

        @intrinsic
        def of_one(typing_context, a):
            return vector_type(vector_type), codegen

        return of_one

    @intrinsic
    def of_two(typing_context, a, b):
        return vector_type(vector_type, vector_type), codegen

    return of_two


round_lanes = _lane_by_lane("llvm.roundeven", 1)
"""Each lane rounded to the nearest integer, ties to even."""
square_root = _lane_by_lane("llvm.sqrt", 1)
"""Of each lane, rounded correctly; NaN below 0."""
magnitude = _lane_by_lane("llvm.fabs", 1)
"""Each lane without its sign."""
larger = _lane_by_lane("llvm.maximum", 2)
smaller = _lane_by_lane("llvm.minimum", 2)
"""The larger and the smaller lane; NaN where either is, and -0 is below 0."""


@intrinsic
def select_less(typing_context, a, b, then, otherwise):
    """Lanes of `then` where `a < b`, else of `otherwise` (also where either is NaN)."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])

    return vector_type(vector_type, vector_type, vector_type, vector_type), codegen


@intrinsic
def or_nan(typing_context, a, b):
    """Lanes of `b`, but NaN where `a` is."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_unordered("uno", args[0], args[0]), args[0], args[1])

    return vector_type(vector_type, vector_type), codegen


@intrinsic
def power_of_two(typing_context, exponent):
    """`2 ** exponent` for integral lanes in [-126, 127]."""

    def codegen(context, builder, signature, args):
        whole = builder.fptosi(args[0], INT_LANES)
        biased = builder.add(whole, ir.Constant(INT_LANES, [127] * WIDTH))
        return builder.bitcast(builder.shl(biased, ir.Constant(INT_LANES, [23] * WIDTH)), LANES)

    return vector_type(vector_type), codegen


@intrinsic
def binary_exponent(typing_context, a):
    """`floor(log2(a))` of positive normal lanes, as float32."""

    def codegen(context, builder, signature, args):
        bits = builder.lshr(builder.bitcast(args[0], INT_LANES), ir.Constant(INT_LANES, [23] * WIDTH))
        return builder.sitofp(builder.sub(bits, ir.Constant(INT_LANES, [127] * WIDTH)), LANES)

    return vector_type(vector_type), codegen


@intrinsic
def lane(typing_context, a, index):
    """The float32 in lane `index`."""

    def codegen(context, builder, signature, args):
        return builder.extract_element(args[0], builder.trunc(args[1], ir.IntType(32)))

    return types.float32(vector_type, types.intp), codegen


def _lanewise(builder_method: str):
    @intrinsic
    def apply(typing_context, a, b):
        def codegen(context, builder, signature, args):
            return getattr(builder, builder_method)(args[0], args[1])

        return vector_type(vector_type, vector_type), codegen

    return apply


def _overload_lanewise(operation, builder_method: str):
    apply = _lanewise(builder_method)

    @overload(operation, inline="always")
    def implement(a, b):
        if isinstance(a, VectorType) and isinstance(b, VectorType):
            return lambda a, b: apply(a, b)
        return None


for _operation, _method in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _overload_lanewise(_operation, _method)
