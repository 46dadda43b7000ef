"""Help that is worth reading, arguments that are told what was expected, and errors without tracebacks."""

import re
import subprocess
import sys

import pytest

import streamrnn
from streamrnn.cli import main

COMMANDS = ("demo", "serve", "stream", "generate", "inspect", "convert", "warmup")


def plain(text):
    """What rich printed, on one line, without its boxes."""
    return " ".join(re.sub(r"[│╭╰╮╯─]", " ", text).split())


def test_help_names_every_command(run):
    done = run("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_an_example(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"Example: streamrnn {command}" in plain(capsys.readouterr().out)


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"streamrnn {streamrnn.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["serve"], "Missing option '--model'"),
        (["serve", "--model", "temp"], "expected NAME=FILE, such as temp=model.safetensors, got 'temp'"),
        (["serve", "--model", "temp=nowhere"], "expected a model file for 'temp', there is none at 'nowhere'"),
        (["serve", "--model", f"a={__file__}", "--model", f"a={__file__}"], "expected each name once"),
        (["serve", "--model", f"a={__file__}", "--port", "99999"], "'--port'"),
        (["serve", "--model", f"a={__file__}", "--vosk-port", "99999"], "'--vosk-port'"),
        (["serve", "--model", f"a={__file__}", "--sherpa-port", "-1"], "'--sherpa-port'"),
        (["serve", "--model", f"a={__file__}", "--max-batch", "0"], "'--max-batch'"),
        (["serve", "--model", f"a={__file__}", "--max-threads", "0"], "'--max-threads'"),
        (["serve", "--model", f"a={__file__}", "--precision", "int4"], "expected one of float32, bfloat16, int8"),
        (
            ["serve", "--model", f"a={__file__}", "--transport", "mqtt"],
            "expected one of websockets, picows, got 'mqtt'",
        ),
        (["serve", "--model", f"a={__file__}", "--log-level", "loud"], "expected one of debug, info, warning, error"),
        (["serve", "--model", f"a={__file__}", "--workers", "0"], "'--workers'"),
        (["serve", "--model", f"a={__file__}", "--workers", "2"], "expected --state or --store with --workers"),
        (["serve", "--model", f"a={__file__}", "--workers", "2", "--store", "memory:"], "that all of them share"),
        (["serve", "--model", f"a={__file__}", "--admin-port", "1"], "expected --workers of 2 or more"),
        (["stream", "ws://localhost:1", "temp"], "--csv FILE, --stdin, --wav FILE"),
        (["stream", "ws://localhost:1", "temp", "--stdin", "--csv", __file__], "--csv FILE, --stdin, --wav FILE"),
        (["stream", "ws://localhost:1", "temp", "--csv", "nowhere.csv"], "does not exist"),
        (["stream", "ws://localhost:1", "temp", "--csv", __file__, "--rate", "fast"], "expected --rate max, realtime"),
        (
            ["stream", "http://localhost:1", "temp", "--csv", __file__],
            "expected an address such as ws://localhost:8765",
        ),
        (["generate", "ws://localhost:1", "text"], "Missing option '--prompt'"),
        (["generate", "ws://localhost:1", "text", "--prompt", ""], "expected a prompt of at least one character"),
        (["generate", "ws://localhost:1", "text", "--prompt", "a", "--input", "x"], "log, probability, logit"),
        (["generate", "ws://localhost:1", "text", "--prompt", "a", "-n", "0"], "'-n'"),
        (["inspect", "nowhere"], "does not exist"),
        (["convert", __file__, "out.safetensors"], "expected a file ending in one of .pt, .pth, .onnx"),
        (["convert", __file__, "out.onnx"], "expected a file name ending in .safetensors"),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_wrong_arguments_are_told_what_was_expected(arguments, expected, capsys):
    assert main(arguments) == 2
    assert expected in plain(capsys.readouterr().err)


def test_a_server_that_is_not_there_is_one_line(capsys, recording):
    assert main(["stream", "ws://127.0.0.1:9", "temp", "--csv", str(recording)]) == 1
    assert capsys.readouterr().err.startswith("error [connect_failed]: expected a server at 127.0.0.1:9")


def test_a_damaged_model_file_is_one_line(capsys, tmp_path):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(b"\x10\0\0\0\0\0\0\0{not json at all")
    assert main(["inspect", str(path)]) == 1
    assert capsys.readouterr().err.startswith("error [bad_model_file]: ")
    assert main(["serve", "--model", f"a={path}"]) == 1


def test_an_unwritable_target_is_one_line(capsys, model_files, tmp_path):
    assert main(["convert", str(model_files["temp"]), str(tmp_path / "no" / "such" / "x.safetensors")]) == 1
    assert capsys.readouterr().err.startswith("error [io]: ")


def test_a_bug_is_one_line_too(capsys, monkeypatch, model_files):
    def broken(path, precision):
        raise ZeroDivisionError("made up")

    monkeypatch.setattr(streamrnn, "load_model", broken)
    assert main(["inspect", str(model_files["temp"])]) == 1
    assert capsys.readouterr().err.startswith("error [internal]: ZeroDivisionError: made up")


def test_help_needs_neither_torch_nor_client():
    code = "import sys, streamrnn.cli; print([name for name in ('torch', 'streamrnn_client') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
