"""Where the values of nodes stand in the work row, and the moves between places."""

from __future__ import annotations

from dataclasses import dataclass, replace

from streamrnn.kernels.opcodes import Op
from streamrnn.kernels.packing import padded
from streamrnn.model.program import Source, Writer


@dataclass(frozen=True)
class Place:
    """A value (steps, size) in the work row.

    Attributes:
        offset: of the first step (float32 elements).
        pitch: elements from one step to the next.
    """

    offset: int
    steps: int
    size: int
    pitch: int

    @property
    def extent(self) -> int:
        """Elements from the first to the end of the last panel touched, for ops that treat all steps alike."""
        return padded((self.steps - 1) * self.pitch + self.size)

    @property
    def is_dense(self) -> bool:
        """Whether its values stand without gaps."""
        return self.steps == 1 or self.pitch == self.size

    def step(self, t: int) -> int:
        """Offset of a step."""
        return self.offset + t * self.pitch

    def part(self, start: int, size: int) -> Place:
        """Channels from `start` on."""
        return replace(self, offset=self.offset + start, size=size)

    def source(self) -> Source:
        """What a matrix product reads."""
        return Source(self.offset, self.steps, self.pitch)


def reserve(writer: Writer, steps: int, size: int, is_dense: bool = False) -> Place:
    """A new place; each of its steps starts at a panel, unless it is dense."""
    pitch = size if is_dense else padded(size)
    return Place(writer.work.reserve((steps - 1) * pitch + size), steps, size, pitch)


def copy(writer: Writer, source: Place, dst: Place) -> None:
    """Write the op that copies a value to a place of its shape."""
    if source.is_dense and dst.is_dense:
        writer.op(Op.COPY, src=source.offset, dst=dst.offset, n_in=source.steps * source.size)
        return
    writer.op(
        Op.COPY, src=source.offset, dst=dst.offset, n_in=source.size,
        steps=source.steps, src_step=source.pitch, dst_step=dst.pitch,
    )  # fmt: skip


def copied(writer: Writer, source: Place, is_dense: bool = False) -> Place:
    """A copy of a value."""
    dst = reserve(writer, source.steps, source.size, is_dense)
    copy(writer, source, dst)
    return dst


def dense(writer: Writer, source: Place) -> Place:
    """The value itself where it stands without gaps, else such a copy."""
    return source if source.is_dense else copied(writer, source, is_dense=True)
