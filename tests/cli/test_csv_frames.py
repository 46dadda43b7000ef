"""Rows of CSV become frames, or an error that names the row and what the file has."""

import numpy as np
import pytest

from streamrnn.commands.csv_frames import CsvFrames
from streamrnn.errors import FrameError, OptionError

NAB = ["timestamp,value\n", "2013-12-02 21:15:00,73.5\n", "2013-12-02 21:20:00,74.25\n"]


def test_a_header_is_seen_and_a_time_is_no_number():
    frames = CsvFrames()
    block = frames.parse(NAB)
    assert frames.names == ("timestamp", "value")
    np.testing.assert_array_equal(block.frames, np.array([[73.5], [74.25]], np.float32))
    assert block.times_s == []


def test_rows_without_a_header_have_columns_named_by_number():
    frames = CsvFrames(columns=("3", "1"))
    np.testing.assert_array_equal(frames.parse(["1,x,2", "3,y,4"]).frames, [[2, 1], [4, 3]])
    assert frames.names == ("1", "2", "3")


def test_a_header_of_numbers_needs_to_be_told():
    assert len(CsvFrames().parse(["1,2", "3,4"]).frames) == 2
    assert len(CsvFrames(has_header=True).parse(["1,2", "3,4"]).frames) == 1


def test_a_first_row_of_words_can_be_told_to_be_no_header():
    with pytest.raises(OptionError, match="expected a column of numbers; the columns are: 1, 2"):
        CsvFrames(has_header=False).parse(["a,b"])


def test_columns_are_taken_in_the_order_they_are_named():
    frames = CsvFrames(columns=("b", "a"))
    np.testing.assert_array_equal(frames.parse(["a,b,c", "1,2,3"]).frames, [[2, 1]])


def test_lines_may_come_one_by_one():
    frames = CsvFrames()
    n = [len(frames.parse([line]).frames) for line in [*NAB, "\n", "\r\n"]]
    assert n == [0, 1, 1, 0, 0]


def test_a_byte_order_mark_is_no_part_of_a_name():
    frames = CsvFrames(columns=("value",))
    assert frames.parse(["\ufeffvalue", "1"]).frames.tolist() == [[1]]


def test_an_unknown_column_is_told_which_there_are():
    with pytest.raises(OptionError, match="no column 'temp'; the columns are: timestamp, value"):
        CsvFrames(columns=("temp",)).parse(NAB)


def test_times_are_seconds_and_a_time_without_zone_is_utc():
    frames = CsvFrames(reads_times=True)
    times = frames.parse(["t,v", "1970-01-01 00:00:10,1", "1970-01-01T01:00:20+01:00,2"]).times_s
    assert times == [10.0, 20.0]


def test_a_time_column_of_numbers_is_named_and_then_no_value():
    frames = CsvFrames(reads_times=True, time_column="t")
    block = frames.parse(["t,v", "0.5,1", "0.75,2"])
    assert block.times_s == [0.5, 0.75]
    assert block.frames.tolist() == [[1], [2]]


def test_realtime_without_a_time_column_is_refused():
    with pytest.raises(OptionError, match="needs a column of times"):
        CsvFrames(reads_times=True).parse(["a,b", "1,2"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2013-12-02 21:25:00,abc", "row 3, column value: expected a number, got 'abc'"),
        ("2013-12-02 21:25:00,", "row 3, column value: expected a number, got ''"),
        ("2013-12-02 21:25:00", "row 3, column value: expected a number, got a row of 1 cells"),
    ],
)
def test_a_faulty_row_is_named_after_those_before_it(line, message):
    frames = CsvFrames()
    assert len(frames.parse([*NAB, line, "2013-12-02 21:30:00,1"]).frames) == 2
    with pytest.raises(FrameError, match=message):
        frames.finish()
    with pytest.raises(FrameError, match=message):
        frames.parse(["2013-12-02 21:30:00,1"])


def test_a_faulty_time_is_named():
    frames = CsvFrames(reads_times=True)
    assert len(frames.parse([*NAB, "yesterday,1"]).frames) == 2
    with pytest.raises(FrameError, match="row 3, column timestamp: expected a time"):
        frames.finish()


def test_no_row_at_all_is_an_error():
    frames = CsvFrames()
    frames.parse(["a,b"])
    with pytest.raises(FrameError, match="at least one row"):
        frames.finish()
