"""Frames from a file or a pipe, outputs as JSON lines, against a real server in another process."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import streamrnn_client

import streamrnn


def outputs_of(text):
    """The outputs of JSON lines, whose seqs must be 0, 1, 2, ..."""
    outputs = [json.loads(line) for line in text.splitlines()]
    assert [output["seq"] for output in outputs] == list(range(len(outputs)))
    return np.array([output["y"] for output in outputs], np.float32)


def expected_of(path, frames):
    """What the engine in this process gives."""
    engine = streamrnn.Engine()
    engine.add_model("model", streamrnn.load_model(path))
    return engine.open("model").run(np.asarray(frames, np.float32).reshape(-1, 1))


def command(server, *options):
    """`streamrnn stream` in a process of its own."""
    return [sys.executable, "-m", "streamrnn", "stream", server.url, "temp", *map(str, options)]


def values_of(recording):
    """The value column of the recording."""
    return np.loadtxt(recording, delimiter=",", skiprows=1, usecols=1)


@pytest.mark.parametrize(
    "options", [(), ("--columns", "value"), ("--chunk", "1"), ("--chunk", "7", "--window", "9"), ("--rate", "2000")]
)
def test_every_output_of_a_file_is_the_engines_bit_for_bit(run, server, recording, model_files, options):
    done = run("stream", server.url, "temp", "--csv", recording, *options)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(outputs_of(done.stdout), expected_of(model_files["temp"], values_of(recording)))
    assert "500 frames in" in done.stderr
    assert "mode: " in done.stderr


def test_realtime_follows_the_time_column(run, server, recording):
    done = run("stream", server.url, "temp", "--csv", recording, "--rate", "realtime", "--speed", 150_000)
    assert done.returncode == 0, done.stderr
    seconds = float(done.stderr.split("500 frames in ")[1].split(" s")[0])
    assert seconds == pytest.approx(499 * 300 / 150_000, abs=0.4)


def test_rows_from_a_pipe_need_no_header(run, server, model_files):
    done = run("stream", server.url, "temp", "--stdin", stdin="80.5\n81\n\n79.25")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(outputs_of(done.stdout), expected_of(model_files["temp"], [80.5, 81, 79.25]))


def test_tokens_are_frames_too(run, server, model_files):
    done = run("stream", server.url, "text", "--stdin", "--no-header", stdin="3\n1\n4\n1\n5\n")
    np.testing.assert_array_equal(outputs_of(done.stdout), expected_of(model_files["text"], [3, 1, 4, 1, 5]))


def test_the_heads_of_an_output_stand_by_name(run, server, model_files):
    done = run("stream", server.url, "headed", "--stdin", "--no-header", stdin="1,2\n3,4\n5,6\n")
    assert done.returncode == 0, done.stderr
    assert "output n belongs to frame n - 1" in done.stderr
    outputs = [json.loads(line)["y"] for line in done.stdout.splitlines()]
    model = streamrnn.load_model(model_files["headed"])
    engine = streamrnn.Engine()
    engine.add_model("model", model)
    ys = engine.open("model").run(np.array([[1, 2], [3, 4], [5, 6]], np.float32))
    assert [list(output) for output in outputs] == [["speech", "noise"]] * 3
    for name, part in model.split(ys).items():
        np.testing.assert_array_equal(np.array([output[name] for output in outputs], np.float32), part)


async def test_a_session_knows_heads_steps_and_delay(server):
    async with streamrnn_client.connect(server.url) as client:
        session = await client.open("headed")
        assert session.heads == (streamrnn_client.Head("speech", 1), streamrnn_client.Head("noise", 2))
        assert (session.delay, session.input.steps, session.input.size) == (1, 2, 2)
        plain = await client.open("temp")
        assert (plain.heads, plain.delay) == ((streamrnn_client.Head("output", 1),), 0)


def test_a_live_pipe_is_answered_at_once(server):
    with subprocess.Popen(
        command(server, "--stdin"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        for seq in range(3):
            child.stdin.write(b"80.5\n")
            child.stdin.flush()
            assert json.loads(child.stdout.readline())["seq"] == seq
        _, errors = child.communicate(timeout=20)
        assert child.returncode == 0, errors


def test_a_reader_that_leaves_is_no_error(server, recording):
    command = [
        sys.executable,
        "-m",
        "streamrnn",
        "stream",
        server.url,
        "temp",
        "--csv",
        str(recording),
        "--rate",
        "200",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.readline()
        child.stdout.close()
        errors = child.stderr.read().decode()
        assert child.wait(20) == 141
        assert "Traceback" not in errors
        assert "error" not in errors


def test_an_interrupt_ends_with_the_summary(server, recording):
    with subprocess.Popen(
        command(server, "--csv", recording, "--rate", 50),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    ) as child:
        child.stdout.readline()
        os.kill(child.pid, signal.SIGINT)
        out, errors = child.communicate(timeout=20)
        assert child.returncode == 130
        assert b"latency p50" in errors
        assert b"Traceback" not in errors
        assert all(json.loads(line) for line in out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "expected"),
    [
        (("temp", "--columns", "foo"), "t,v\n2026-01-01,1\n", 2, "no column 'foo'; the columns are: t, v"),
        (("temp",), "a,b\n1,2\n", 2, "the model takes 1 values a frame, got 2 columns; the columns are: a, b"),
        (("temp",), "a\n1\nx\n", 1, "row 2, column a: expected a number, got 'x'"),
        (("temp",), "a\n1\nnan\n", 1, "error [bad_frame]: expected finite values"),
        (("temp",), "", 1, "error [bad_frame]: expected at least one row"),
        (("temp", "--rate", "realtime"), "a\n1\n", 2, "needs a column of times"),
        (("text",), "1.5\n", 1, "error [bad_frame]: expected token ids"),
        (("nope",), "1\n", 1, "error [unknown_model]: no model named 'nope'; the models are: headed, sound, "),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(run, server, arguments, stdin, code, expected):
    done = run("stream", server.url, *arguments, "--stdin", stdin=stdin)
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == code


def test_outputs_before_a_fault_are_printed(run, server, model_files):
    done = run("stream", server.url, "temp", "--stdin", stdin="a\n1\n2\nx\n")
    np.testing.assert_array_equal(outputs_of(done.stdout), expected_of(model_files["temp"], [1, 2]))
    assert done.returncode == 1


def test_a_long_recording_is_answered_row_for_row(run, server, tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("value\n" + "".join(f"{80 + n % 7}\n" for n in range(22_695)))
    done = run("stream", server.url, "temp", "--csv", path, "--rate", "max")
    assert len(outputs_of(done.stdout)) == 22_695
