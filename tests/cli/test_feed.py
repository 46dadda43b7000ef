"""Lines that arrive are handed on at once, in blocks, with errors in their place."""

import asyncio
import contextlib
import os

import pytest

from streamrnn.commands.csv_frames import CsvFrames
from streamrnn.commands.feed import blocks_of, read_lines
from streamrnn.errors import FrameError


@pytest.fixture
def pipe():
    read_end, write_end = os.pipe()
    yield read_end, write_end
    for end in (read_end, write_end):
        with contextlib.suppress(OSError):
            os.close(end)


def test_a_line_cut_in_two_is_joined(pipe):
    read_end, write_end = pipe
    os.write(write_end, b"a,b\n1,")
    lines = read_lines(read_end)
    assert next(lines) == ["a,b"]
    os.write(write_end, b"2\n3,4\n5,6")
    assert next(lines) == ["1,2", "3,4"]
    os.close(write_end)
    assert list(lines) == [["5,6"]]


async def test_a_live_pipe_is_answered_line_by_line(pipe):
    read_end, write_end = pipe
    blocks = blocks_of(read_end, CsvFrames())
    for value in (1.0, 2.0, 3.0):
        os.write(write_end, f"{value}\n".encode())
        block = await asyncio.wait_for(anext(blocks), 5)
        assert block.frames.tolist() == [[value]]
    os.close(write_end)
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(anext(blocks), 5)


async def test_frames_before_a_fault_come_before_it(pipe):
    read_end, write_end = pipe
    os.write(write_end, b"1\n2\nx\n4\n")
    os.close(write_end)
    blocks = blocks_of(read_end, CsvFrames())
    assert (await anext(blocks)).frames.tolist() == [[1], [2]]
    with pytest.raises(FrameError, match="row 3"):
        await anext(blocks)


async def test_many_blocks_pass_through_a_short_queue(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("".join(f"{i}\n" for i in range(200_000)))
    with path.open("rb") as file:
        n = [len(block.frames) async for block in blocks_of(file.fileno(), CsvFrames())]
    assert sum(n) == 200_000
    assert len(n) > 8
