"""Moving vectors, scalars and words between registers and memory, and calling, by address.

An address is an intp from `address_of`. The first functions build LLVM code; kernels call the intrinsics after them.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from streamrnn.kernels.jit import inlined
from streamrnn.kernels.simd import FLOAT, INT_LANES, LANES, VECTOR_BYTES, WIDTH, vector_type


def pointer(builder, address, byte_offset: int = 0):
    """The LLVM pointer at `address + byte_offset`."""
    if byte_offset:
        address = builder.add(address, ir.Constant(address.type, byte_offset))
    return builder.inttoptr(address, LANES.as_pointer())


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
        return builder.sitofp(builder.sext(value, INT_LANES), LANES)
    shift = ir.Constant(INT_LANES, [16] * WIDTH)
    return builder.bitcast(builder.shl(builder.zext(value, INT_LANES), shift), LANES)


@intrinsic
def address_of(typing_context, array):
    """Address (intp) of an array's first element; the array must outlive its use."""

    def codegen(context, builder, signature, args):
        array_struct = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.ptrtoint(array_struct.data, context.get_value_type(types.intp))

    return types.intp(array), codegen


@intrinsic
def call_function(typing_context, address, argument):
    """What the C function at `address` (intp), from int64 to int64, returns for `argument`."""

    def codegen(context, builder, signature, args):
        word = ir.IntType(64)
        function = builder.inttoptr(args[0], ir.FunctionType(word, [word]).as_pointer())
        return builder.call(function, [args[1]])

    return types.int64(types.intp, types.int64), codegen


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
    everywhere = builder.shuffle_vector(count, ir.Constant(wide, ir.Undefined), ir.Constant(INT_LANES, [0] * WIDTH))
    return builder.icmp_signed("<", ir.Constant(wide, list(range(WIDTH))), everywhere)


def _masked(builder, name, function_type):
    name = f"llvm.masked.{name}.v{WIDTH}f32.p0"
    return builder.module.globals.get(name) or ir.Function(builder.module, function_type, name)


@intrinsic
def load_first(typing_context, address, n):
    """The vector at `address` (intp) of whose lanes only the first `n` (intp) are read; the others are 0."""

    def codegen(context, builder, signature, args):
        mask = _first_lanes(builder, args[1])
        kind = ir.FunctionType(LANES, [LANES.as_pointer(), ir.IntType(32), mask.type, LANES])
        place = (pointer(builder, args[0]), ir.Constant(ir.IntType(32), 4))
        return builder.call(_masked(builder, "load", kind), [*place, mask, ir.Constant(LANES, [0.0] * WIDTH)])

    return vector_type(types.intp, types.intp), codegen


@intrinsic
def store_first(typing_context, address, value, n):
    """Write the first `n` (intp) lanes of a vector to `address` (intp)."""

    def codegen(context, builder, signature, args):
        mask = _first_lanes(builder, args[2])
        kind = ir.FunctionType(ir.VoidType(), [LANES, LANES.as_pointer(), ir.IntType(32), mask.type])
        place = (pointer(builder, args[0]), ir.Constant(ir.IntType(32), 4))
        builder.call(_masked(builder, "store", kind), [args[1], *place, mask])
        return context.get_dummy_value()

    return types.none(types.intp, vector_type, types.intp), codegen


@intrinsic
def load_scalar(typing_context, address):
    """The float32 at `address` (intp)."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], FLOAT.as_pointer()))

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
        builder.store(args[1], builder.inttoptr(args[0], FLOAT.as_pointer()))
        return context.get_dummy_value()

    return types.none(types.intp, types.float32), codegen


@inlined
def load_part(address, byte_offset, n_bytes):
    """The vector `byte_offset` bytes into a region of `n_bytes` (intp) at `address`; behind its end the lanes are 0."""
    left = n_bytes - byte_offset
    if left >= VECTOR_BYTES:
        return load(address + byte_offset)
    return load_first(address + byte_offset, left >> 2)


@inlined
def store_part(address, byte_offset, n_bytes, value):
    """Write a vector `byte_offset` bytes into a region of `n_bytes` (intp) at `address`, but nothing behind its end."""
    left = n_bytes - byte_offset
    if left >= VECTOR_BYTES:
        store(address + byte_offset, value)
    else:
        store_first(address + byte_offset, value, left >> 2)


@inlined
def column(words, number):
    """Word `number` of those at the address `words` (intp): of an op, a plan or a call."""
    return load_int(words + 8 * number)
