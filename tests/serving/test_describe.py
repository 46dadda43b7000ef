"""What a client is told of a model is true."""

from __future__ import annotations

import numpy as np

from streamrnn import Head, Model, Node, Spec
from streamrnn.limits import Limits
from streamrnn.model.trial import play
from streamrnn.serving.describe import input_port, output_port, window_of
from streamrnn.wire import messages as m
from streamrnn.wire.messages import Port
from tests.serving.small_models import gru_model, lstm_model, token_model


def test_ports():
    assert input_port(lstm_model()) == Port(3, names=("in0", "in1", "in2"))
    assert output_port(lstm_model()) == Port(2)
    assert input_port(token_model()) == Port(1, "token", 7)


def test_steps_heads_and_delay():
    """Two steps of three values a frame; their mean comes a frame late, beside the first and last of them."""
    nodes = (
        Node("x", "input", 3, steps=2),
        Node("late", "delay", 3, ("x",), steps=2, lag=2),
        Node("mean", "mean_pool", 3, ("late",), kernel=2, stride=2),
        Node("all", "fold", 6, ("late",)),
        Node("both", "concat", 9, ("mean", "all")),
    )
    model = Model(Spec(nodes, "both", (Head("mean", 3), Head("all", 6)), 1), {})
    assert input_port(model) == Port(6, steps=2)
    assert output_port(model) == Port(9, heads=(m.Head("mean", 3), m.Head("all", 6)), delay=1)
    model = Model(Spec(nodes[:2], "late", (), 1), {})
    assert output_port(model) == Port(6, steps=2, delay=1)
    xs = np.arange(12, dtype=np.float32).reshape(2, 6)
    assert np.array_equal(play(model, xs, 2), [[0] * 6, xs[0]])


def test_the_window_fits_every_limit():
    model = gru_model(hidden_size=5)  # 20 bytes an output
    assert window_of(model, Limits(max_queue_frames=10, max_chunk_frames=20)) == 10
    assert window_of(model, Limits(max_queue_frames=20, max_chunk_frames=10)) == 10
    assert window_of(model, Limits(max_outbox_bytes=400)) == 10
    assert window_of(model, Limits(max_outbox_bytes=1)) == 1
