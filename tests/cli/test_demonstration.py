"""The demo's own judgement: it must see a fault that is missed and an output that is wrong."""

import io

import numpy as np
import pytest
from rich.console import Console

import streamrnn
from streamrnn.commands.demonstration.check import faults_of
from streamrnn.commands.demonstration.faults import Fault, Findings, Recording
from streamrnn.commands.demonstration.scene import Moment, Scene
from streamrnn.commands.demonstration.server import ChildServer
from streamrnn.commands.demonstration.sessions import Load, Played, play_all, write
from streamrnn.commands.demonstration.view import LineView, LiveView, view_of
from streamrnn.commands.latency import Latency
from streamrnn.errors import InternalError

FAULTS = (Fault("drop", 10, 19), Fault("stuck", 40, 49))


def test_a_recording_tells_its_faults(tmp_path):
    path = tmp_path / "recording.csv"
    path.write_text("timestamp,value,fault\na,1,\nb,2,drop\nc,3,drop\nd,4,\ne,5,stuck\n")
    recording = Recording.read(path)
    assert recording.faults == (Fault("drop", 1, 2), Fault("stuck", 4, 4))
    assert recording.values.tolist() == [[1], [2], [3], [4], [5]]


def test_alarms_are_held_against_faults():
    findings = Findings.judge(FAULTS, [5, 12, 15, 30])
    assert findings.found == ((FAULTS[0], 12),)
    assert findings.missed == (FAULTS[1],)
    assert findings.n_false == 2


def played(model_files, n=20):
    """What an honest server would have answered."""
    frames = np.linspace(70, 90, n, dtype=np.float32)[:, None]
    engine = streamrnn.Engine()
    engine.add_model("temp", streamrnn.load_model(model_files["temp"]))
    latency = Latency()
    latency.n_frames = n
    return Played("temp", frames, engine.open("temp").run(frames), latency)


def test_one_wrong_bit_is_found(model_files):
    models = {"temp": streamrnn.load_model(model_files["temp"])}
    honest = played(model_files)
    assert faults_of(models, [honest]) == []
    honest.outputs.view(np.uint32)[7, 0] ^= 1
    assert faults_of(models, [honest]) == ["temp: 1 outputs differ from the embedded engine's, from seq 7 on"]


def test_a_missing_output_is_found(model_files):
    models = {"temp": streamrnn.load_model(model_files["temp"])}
    cut = played(model_files)
    cut.latency.n_frames = 19
    assert faults_of(models, [cut]) == ["temp: 20 frames sent, 19 outputs"]


@pytest.mark.parametrize(
    "load", [Load(500.0, window=8), Load(float("inf"), window=8), Load(float("inf"), 64, chunk=16)]
)
async def test_sessions_get_what_the_engine_gives(server, model_files, load):
    import streamrnn_client

    models = {name: streamrnn.load_model(path) for name, path in model_files.items()}
    recordings = [np.linspace(70 + i, 90, 100, dtype=np.float32)[:, None] for i in range(3)]
    text = []
    async with streamrnn_client.connect(server.url) as client:
        sessions = await play_all(client, "temp", recordings, load)
        sessions.append(await write(client, "text", "abc", 20, 1000.0, text.append))
    assert len("".join(text)) == 23
    assert faults_of(models, sessions) == []


def a_scene():
    """Sixty frames of one sensor, with one alarm found and one false."""
    scene = Scene(2, FAULTS, tuple(f"t{n}" for n in range(60)), Latency(), text="To be\nor not")
    for seq in range(60):
        scene.see(Moment(seq, 80.0 + seq % 5, 80.0, 0.1, 10 <= seq < 20), onset=seq in (12, 30))
    return scene


def test_a_log_gets_lines_and_a_terminal_a_picture():
    for is_terminal, kind in ((False, LineView), (True, LiveView)):
        console = Console(file=io.StringIO(), force_terminal=is_terminal, width=100, markup=False, emoji=False)
        view = view_of(a_scene(), console)
        assert type(view) is kind
        view.start()
        view.update()
        view.stop()
        text = console.file.getvalue()
        for expected in ("found: drop, after 2 frames", "a false alarm", "To be", "frame"):
            assert expected in text
        assert ("▁" in text) == is_terminal


def test_a_picture_fits_any_terminal():
    for width in (20, 40, 80, 200):
        console = Console(file=io.StringIO(), force_terminal=True, width=width)
        view = LiveView(a_scene(), console)
        view.start()
        view.stop()


def test_a_server_that_cannot_start_is_told_with_its_log(tmp_path):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(b"damaged")
    with pytest.raises(InternalError, match=r"ended before it was ready; its log ends:\nerror \[bad_model_file\]"):
        ChildServer({"temp": path}).__enter__()
