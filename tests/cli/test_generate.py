"""`streamrnn generate` against a real server in another process."""

import re

import numpy as np
import pytest

import streamrnn
from streamrnn.decode.settings import SamplerSettings
from tests.cli.conftest import LABELS

PROMPT = "a: bad "


def text_of(path, n, **options):
    """What the engine in this process gives behind the prompt."""
    engine = streamrnn.Engine()
    engine.add_model("model", streamrnn.load_model(path))
    session = engine.open("model", decoder=SamplerSettings())
    session.run(np.array([[LABELS.index(character)] for character in PROMPT], np.float32))
    return "".join(LABELS[token] for token in session.generate(n, **options))


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (("-n", 300), {"n": 300}),
        (("-n", 40, "--temperature", 0), {"n": 40, "temperature": 0.0}),
        (("--temperature", 0.8, "--top-k", 4, "--seed", 9), {"n": 200, "temperature": 0.8, "top_k": 4, "seed": 9}),
        (("-n", 300, "--stop", "h", "--seed", 2), {"n": 300, "stop": LABELS.index("h"), "seed": 2}),
    ],
)
def test_the_text_is_the_engines(run, server, model_files, options, asked):
    done = run("generate", server.url, "text", "--prompt", PROMPT, *options)
    assert done.returncode == 0, done.stderr
    expected = text_of(model_files["text"], **asked)
    assert done.stdout == expected + "\n"
    found = re.search(r"(\d+) tokens in [\d.]+ s, \d+ tokens/s; .*seed (\d+)", done.stderr)
    assert found is not None
    assert (int(found[1]), int(found[2])) == (len(expected), asked.get("seed", 0))


@pytest.mark.parametrize(
    ("model", "options", "expected"),
    [
        ("text", ("--prompt", "a?"), "character 1 is '?'"),
        ("text", ("--prompt", "a", "--stop", "?"), "expected stop as a label of the model, got '?'"),
        ("temp", ("--prompt", "a"), "a sampler expects a model whose frames are tokens"),
        ("nothing", ("--prompt", "a"), "unknown_model"),
    ],
)
def test_what_is_refused(run, server, model, options, expected):
    done = run("generate", server.url, model, *options)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("error [") and expected in done.stderr
    assert done.stdout == ""
