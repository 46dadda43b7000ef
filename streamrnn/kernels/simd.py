"""A vector of float32 lanes as a numba type, so that kernels read as formulas and never depend on auto-vectorisation.

Vectors live in registers; `load` and `store` move them by address (an intp from `address_of`). Lane-wise `+ - * /`
are single IEEE operations and `fma` is one fused multiply-add: nothing here may be contracted or reassociated, which
is what makes every tile shape and batch give the same bits. The lane count is a property of the process (`WIDTH`);
LLVM splits a vector that is wider than the host's registers.
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

_float = ir.FloatType()
_lanes = ir.VectorType(_float, WIDTH)
_int_lanes = ir.VectorType(ir.IntType(32), WIDTH)


class VectorType(types.Type):
    """Numba's view of one register of `WIDTH` float32 lanes."""

    def __init__(self):
        super().__init__(name=f"float32x{WIDTH}")


vector_type = VectorType()


@register_default(VectorType)
class VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    """Stored as the LLVM vector itself."""

    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _lanes)


def splat(builder, scalar):
    """The LLVM value whose every lane is `scalar` (float)."""
    undefined = ir.Constant(_lanes, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(_int_lanes, [0] * WIDTH))


def pointer(builder, address, byte_offset: int = 0):
    """The LLVM pointer at `address + byte_offset`."""
    if byte_offset:
        address = builder.add(address, ir.Constant(address.type, byte_offset))
    return builder.inttoptr(address, _lanes.as_pointer())


def load_lanes(builder, address, byte_offset: int = 0):
    """LLVM load of one vector; element alignment only, since rows of frames may start anywhere."""
    return builder.load(pointer(builder, address, byte_offset), align=4)


def store_lanes(builder, value, address, byte_offset: int = 0):
    """LLVM store of one vector, with element alignment only."""
    builder.store(value, pointer(builder, address, byte_offset), align=4)


def load_word(builder, address, byte_offset: int = 0):
    """LLVM load of the int64 at `address + byte_offset`."""
    word = ir.IntType(64)
    if byte_offset:
        address = builder.add(address, ir.Constant(address.type, byte_offset))
    return builder.load(builder.inttoptr(address, word.as_pointer()))


def load_narrow(builder, address, byte_offset: int, n_bits: int):
    """LLVM load of one vector of weights kept in 8 bits (int8) or 16 (bfloat16, the upper half of a float32)."""
    if byte_offset:
        address = builder.add(address, ir.Constant(address.type, byte_offset))
    narrow = ir.VectorType(ir.IntType(n_bits), WIDTH)
    value = builder.load(builder.inttoptr(address, narrow.as_pointer()), align=n_bits // 8)
    if n_bits == 8:
        return builder.sitofp(builder.sext(value, _int_lanes), _lanes)
    shift = ir.Constant(_int_lanes, [16] * WIDTH)
    return builder.bitcast(builder.shl(builder.zext(value, _int_lanes), shift), _lanes)


def call_lanes(builder, name: str, *args):
    """Call the LLVM intrinsic `name` (as `llvm.fma`) on whole vectors."""
    function_type = ir.FunctionType(_lanes, [_lanes] * len(args))
    callee = builder.module.globals.get(f"{name}.v{WIDTH}f32") or ir.Function(
        builder.module, function_type, f"{name}.v{WIDTH}f32"
    )
    return builder.call(callee, args)


@intrinsic
def address_of(typing_context, array):
    """Address (intp) of an array's first element; the array must outlive its use."""

    def codegen(context, builder, signature, args):
        array_struct = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.ptrtoint(array_struct.data, context.get_value_type(types.intp))

    return types.intp(array), codegen


@intrinsic
def load(typing_context, address):
    """The vector at `address` (intp)."""
    return vector_type(types.intp), lambda context, builder, signature, args: load_lanes(builder, args[0])


@intrinsic
def load_int8(typing_context, address):
    """The vector of `WIDTH` int8 at `address` (intp), as float32."""
    return vector_type(types.intp), lambda context, builder, signature, args: load_narrow(builder, args[0], 0, 8)


@intrinsic
def load_bfloat16(typing_context, address):
    """The vector of `WIDTH` bfloat16 at `address` (intp), as float32."""
    return vector_type(types.intp), lambda context, builder, signature, args: load_narrow(builder, args[0], 0, 16)


@intrinsic
def store(typing_context, address, value):
    """Write a vector to `address` (intp)."""

    def codegen(context, builder, signature, args):
        store_lanes(builder, args[1], args[0])
        return context.get_dummy_value()

    return types.none(types.intp, vector_type), codegen


def _first_lanes(builder, n):
    """The LLVM mask (WIDTH bits) of the first `n` (intp) lanes."""
    wide = ir.VectorType(ir.IntType(64), WIDTH)
    count = builder.insert_element(ir.Constant(wide, ir.Undefined), n, ir.Constant(ir.IntType(32), 0))
    everywhere = builder.shuffle_vector(count, ir.Constant(wide, ir.Undefined), ir.Constant(_int_lanes, [0] * WIDTH))
    return builder.icmp_signed("<", ir.Constant(wide, list(range(WIDTH))), everywhere)


def _masked(builder, name, function_type):
    name = f"llvm.masked.{name}.v{WIDTH}f32.p0"
    return builder.module.globals.get(name) or ir.Function(builder.module, function_type, name)


@intrinsic
def load_first(typing_context, address, n):
    """The vector at `address` (intp) of whose lanes only the first `n` (intp) are read; the others are 0."""

    def codegen(context, builder, signature, args):
        mask = _first_lanes(builder, args[1])
        kind = ir.FunctionType(_lanes, [_lanes.as_pointer(), ir.IntType(32), mask.type, _lanes])
        place = (pointer(builder, args[0]), ir.Constant(ir.IntType(32), 4))
        return builder.call(_masked(builder, "load", kind), [*place, mask, ir.Constant(_lanes, [0.0] * WIDTH)])

    return vector_type(types.intp, types.intp), codegen


@intrinsic
def store_first(typing_context, address, value, n):
    """Write the first `n` (intp) lanes of a vector to `address` (intp)."""

    def codegen(context, builder, signature, args):
        mask = _first_lanes(builder, args[2])
        kind = ir.FunctionType(ir.VoidType(), [_lanes, _lanes.as_pointer(), ir.IntType(32), mask.type])
        place = (pointer(builder, args[0]), ir.Constant(ir.IntType(32), 4))
        builder.call(_masked(builder, "store", kind), [args[1], *place, mask])
        return context.get_dummy_value()

    return types.none(types.intp, vector_type, types.intp), codegen


@intrinsic
def is_zero(typing_context, a):
    """Whether every lane is 0 (of either sign); a NaN is not."""

    def codegen(context, builder, signature, args):
        differs = builder.fcmp_unordered("!=", args[0], ir.Constant(_lanes, [0.0] * WIDTH))
        bits = builder.bitcast(differs, ir.IntType(WIDTH))
        return builder.icmp_unsigned("==", bits, ir.Constant(bits.type, 0))

    return types.boolean(vector_type), codegen


@intrinsic
def load_scalar(typing_context, address):
    """The float32 at `address` (intp)."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], _float.as_pointer()))

    return types.float32(types.intp), codegen


@intrinsic
def load_int(typing_context, address):
    """The int64 at `address` (intp)."""
    return types.int64(types.intp), lambda context, builder, signature, args: load_word(builder, args[0])


@intrinsic
def store_int(typing_context, address, value):
    """Write an int64 to `address` (intp)."""

    def codegen(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], ir.IntType(64).as_pointer()))
        return context.get_dummy_value()

    return types.none(types.intp, types.int64), codegen


@intrinsic
def store_scalar(typing_context, address, value):
    """Write a float32 to `address` (intp)."""

    def codegen(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], _float.as_pointer()))
        return context.get_dummy_value()

    return types.none(types.intp, types.float32), codegen


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


@intrinsic
def round_lanes(typing_context, a):
    """Each lane rounded to the nearest integer, ties to even."""

    def codegen(context, builder, signature, args):
        return call_lanes(builder, "llvm.roundeven", *args)

    return vector_type(vector_type), codegen


@intrinsic
def select_less(typing_context, a, b, then, otherwise):
    """Lanes of `then` where `a < b`, else of `otherwise` (also where either is NaN)."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])

    return vector_type(vector_type, vector_type, vector_type, vector_type), codegen


@intrinsic
def power_of_two(typing_context, exponent):
    """`2 ** exponent` for integral lanes in [-126, 127]."""

    def codegen(context, builder, signature, args):
        whole = builder.fptosi(args[0], _int_lanes)
        biased = builder.add(whole, ir.Constant(_int_lanes, [127] * WIDTH))
        return builder.bitcast(builder.shl(biased, ir.Constant(_int_lanes, [23] * WIDTH)), _lanes)

    return vector_type(vector_type), codegen


@intrinsic
def binary_exponent(typing_context, a):
    """`floor(log2(a))` of positive normal lanes, as float32."""

    def codegen(context, builder, signature, args):
        bits = builder.lshr(builder.bitcast(args[0], _int_lanes), ir.Constant(_int_lanes, [23] * WIDTH))
        return builder.sitofp(builder.sub(bits, ir.Constant(_int_lanes, [127] * WIDTH)), _lanes)

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
