"""What a client is told of a model is true."""

from __future__ import annotations

from streamrnn.limits import Limits
from streamrnn.serving.describe import input_port, output_port, window_of
from streamrnn.wire.messages import Port
from tests.serving.small_models import gru_model, lstm_model, token_model


def test_ports():
    assert input_port(lstm_model()) == Port(3, names=("in0", "in1", "in2"))
    assert output_port(lstm_model()) == Port(2)
    assert input_port(token_model()) == Port(1, "token", 7)


def test_the_window_fits_every_limit():
    model = gru_model(hidden_size=5)  # 20 bytes an output
    assert window_of(model, Limits(max_queue_frames=10, max_chunk_frames=20)) == 10
    assert window_of(model, Limits(max_queue_frames=20, max_chunk_frames=10)) == 10
    assert window_of(model, Limits(max_outbox_bytes=400)) == 10
    assert window_of(model, Limits(max_outbox_bytes=1)) == 1
