"""The certificate tells the truth: what agrees passes, what differs is refused or marked, and nothing is hidden."""

import numpy as np
import pytest

import streamrnn
from streamrnn import Card, Node, Spec, bundled
from streamrnn.errors import ModelFileError, UnsupportedError
from streamrnn.model.certificate import TOLERANCE, Certificate, Compared, Figures
from streamrnn.model.importers.comparison import compare
from streamrnn.model.importers.layers import Draft
from streamrnn.model.importers.parity import certify, find_match
from streamrnn.model.importers.proof import N_FRAMES, Original, prove
from streamrnn.model.importers.torch_calls import Call
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.model import Model

RNG = np.random.default_rng(0)
W = RNG.normal(0, 0.3, (4, 3)).astype(np.float32)
HEAD = RNG.normal(0, 0.3, (2, 4)).astype(np.float32)


def hidden(x):
    """tanh(x W) of x (1, time, 3)."""
    return np.tanh(x.astype(np.float64) @ W.T.astype(np.float64))


def traced(weight=W, *, has_heads=False, is_pooled=False):
    """A product and a tanh, traced with a weight that may be wrong."""
    trace = Trace("by hand")
    h = trace.map("tanh", trace.linear(trace.input((1, 101, 3), 1), weight))
    if is_pooled:
        return trace.finish({"last": trace.slice(h, 1, 100, 101)})
    return trace.finish({"h": h, "y": trace.linear(h, HEAD)} if has_heads else {"h": h})


def original(call=hidden, **options):
    """The same, answered by NumPy."""
    return Original("numpy 2", lambda inputs: [[call(x)] for x in inputs], "hidden(x)", **options)


def wrong():
    """One weight of twelve, a little off."""
    weight = W.copy()
    weight[2, 1] += 0.01
    return weight


def test_what_agrees_passes():
    model = prove(traced(), original(), card=Card(name="kept", certificate={"max_abs_error": 7.0}))
    found = model.certificate
    assert model.card.name == "kept"
    assert found.passed is True and found.fault == ""
    assert 0 < found.max_abs_error < 1e-6
    assert found.max_rel_error == found.max_abs_error / found.max_abs_output
    assert (found.framework, found.call, found.reading) == ("numpy 2", "hidden(x)", "by hand")
    assert (found.n_frames, found.n_compared, found.n_not_finite) == (N_FRAMES, N_FRAMES, 0)
    assert found.chunkings == (N_FRAMES, 7, 1)
    assert (found.tolerance, found.delay, found.is_pooled, found.heads) == (TOLERANCE, 0, False, {})
    assert found.versions.keys() == {"streamrnn", "numpy", "numba", "llvmlite"}
    assert found.versions["numpy"] == "2"  # the framework's word stands before ours
    assert found.vector_width in {4, 8, 16}
    assert found.example is None and found.bfloat16.max_abs_error > 0


def test_it_is_the_same_each_time_and_survives_the_file(tmp_path):
    like = RNG.normal(5, 2, (40, 3)).astype(np.float32)
    models = [prove(traced(has_heads=True), two_headed(), like=like) for _ in range(2)]
    assert models[0].card == models[1].card
    models[0].save(tmp_path / "m.safetensors")
    loaded = streamrnn.load_model(tmp_path / "m.safetensors")
    assert loaded.card == models[0].card
    assert Certificate.of(loaded.certificate.plain()) == loaded.certificate
    assert loaded.certificate.example.passed is True


def two_headed():
    def answer(inputs):
        return [[hidden(x), hidden(x) @ HEAD.T.astype(np.float64)] for x in inputs]

    return Original("numpy 2", answer)


def test_a_weight_that_is_wrong_is_refused_unless_forced():
    with pytest.raises(
        UnsupportedError, match=r"it differs from numpy 2 by 0\.0\d+ .*random frames, more than 0\.0001"
    ):
        prove(traced(wrong()), original())
    model = prove(traced(wrong()), original(), is_forced=True)
    assert model.card.certificate["passed"] is False
    assert 1e-3 < model.certificate.max_abs_error < 0.1
    assert "differs from numpy 2" in model.certificate.fault


def test_each_head_is_judged_by_its_own_size():
    certificate = prove(traced(has_heads=True), two_headed()).certificate
    assert certificate.heads.keys() == {"h", "y"}
    assert certificate.max_abs_error == max(head.max_abs_error for head in certificate.heads.values())
    assert certificate.max_rel_error == max(head.max_rel_error for head in certificate.heads.values())
    theirs = np.array([[1e6, 1.0]])
    ours = theirs + np.array([0.0, 0.01])  # within the tolerance of the larger head only
    assert compare(ours, theirs).passed
    found = compare(ours, theirs, [("large", 1), ("small", 1)])
    assert not found.passed
    assert found.heads["small"].max_rel_error == pytest.approx(0.01)
    assert found.heads["large"].max_abs_error == 0


def test_the_users_own_frames_are_tried_as_they_are():
    def clipped(x):
        return np.where((x == 1.0).all(-1, keepdims=True), 0.0, hidden(x))  # no random frame is that

    like = RNG.normal(0, 1, (30, 3)).astype(np.float32)
    found = prove(traced(), original(clipped), like=like).certificate
    assert (found.example.n_frames, found.example.n_compared, found.example.passed) == (30, 30, True)
    assert "the example's mean" in found.frames
    like[7] = 1.0
    with pytest.raises(UnsupportedError, match="on the example's frames"):
        prove(traced(), original(clipped), like=like)
    forced = prove(traced(), original(clipped), like=like, is_forced=True).certificate
    assert (forced.passed, forced.example.passed) == (False, False)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_in_the_original_does_not_pass_silently(value):
    def partly(x):
        return np.where(x[..., :1] < 0, value, hidden(x))

    with pytest.raises(UnsupportedError, match=r"NaN or infinity to \d+ of 256 random frames; with an example"):
        prove(traced(), original(partly))
    forced = prove(traced(), original(partly), is_forced=True).certificate
    assert forced.passed is False and forced.fault
    assert 0 < forced.n_not_finite == N_FRAMES - forced.n_compared
    like = np.abs(RNG.normal(0, 1, (30, 3))).astype(np.float32)
    judged = prove(traced(), original(partly), like=like).certificate
    assert judged.passed is True and judged.n_not_finite > 0 and judged.example.n_not_finite == 0
    with pytest.raises(UnsupportedError):
        prove(traced(wrong()), original(partly), like=like)


def test_nan_in_ours_alone_is_an_infinite_error():
    found = compare(np.array([[np.nan], [1.0]]), np.array([[1.0], [1.0]]))
    assert (found.passed, found.max_abs_error, found.n_not_finite) == (False, None, 0)
    certificate = Certificate(framework="numpy 2", passed=False, max_abs_output=1.0)
    assert "differs from numpy 2 by more than any number" in certificate.fault
    assert Certificate.of(certificate.plain()).fault == certificate.fault


def test_nothing_to_compare_with_is_neither_passed_nor_failed():
    certificate = prove(traced(), None).certificate
    assert (certificate.passed, certificate.fault, certificate.max_abs_error) == (None, "", None)
    assert certificate.versions["streamrnn"] == "0.1.0"
    assert prove(traced(), None).card.certificate["passed"] is None


@pytest.mark.parametrize("is_loud", [True, False])
def test_an_answer_once_is_compared_at_several_lengths(is_loud):
    def last(x):
        if x.shape[1] < 4 and is_loud:
            raise RuntimeError("the sequence is too short")
        return hidden(x)[:, -1:] * (1.0 if x.shape[1] >= 4 else np.nan)

    certificate = prove(traced(is_pooled=True), original(last)).certificate
    assert certificate.is_pooled
    assert certificate.lengths == (5, 8, 13, 34, 89, N_FRAMES)
    assert (certificate.n_compared, certificate.n_not_finite) == (6, 0)


@pytest.mark.parametrize(("n_steps", "n_frames"), [(101, N_FRAMES), (300, 300)])
def test_an_original_of_one_length(n_steps, n_frames):
    def fixed(x):
        assert x.shape == (1, n_steps, 3)
        return hidden(x)

    found = prove(traced(), original(fixed, n_steps=n_steps), like=np.ones((9, 3), np.float32)).certificate
    assert (found.n_frames, found.n_compared) == (n_frames, n_steps)
    assert found.example.passed is None  # too short for it


def test_an_original_that_answers_nothing_is_no_proof():
    with pytest.raises(UnsupportedError, match="answers nothing to 256 frames"):
        prove(traced(), original(lambda x: hidden(x)[:, :0]))


def test_a_certificate_of_an_older_file_is_read():
    for name in ("temperature_anomaly", "char_lm"):
        model = streamrnn.load_model(bundled.path(name))
        assert "passed" not in model.card.certificate
        assert model.certificate.passed is True and model.certificate.fault == ""
    assert Certificate.of({"max_abs_error": 3e-3, "max_abs_output": 30.0}).passed is True
    assert Certificate.of({"max_abs_error": 3e-3, "max_abs_output": 3.0}).passed is False
    assert Certificate.of({}).passed is None
    assert Certificate.of({"passed": None, "max_abs_error": 3e-3}).passed is None
    assert Certificate.of({"a later field": 1}).passed is None


def test_a_verdict_that_its_figures_deny_is_a_fault():
    good = {"passed": True, "max_abs_error": 1e-6, "max_abs_output": 1.0}
    assert not Certificate.of(good).fault
    assert Certificate.of(good | {"max_abs_error": 0.5}).fault
    assert Certificate.of(good | {"max_abs_error": float("nan")}).fault
    assert Certificate.of(good | {"heads": {"y": {"max_abs_error": 0.5}}}).fault
    assert not Figures(max_abs_error=None).is_within(1.0)
    assert Compared().passed is None
    with pytest.raises(ModelFileError, match="the certificate cannot be read"):
        Certificate.of({"passed": "yes"})


def readings():
    """A draft of the product with a tanh, right or wrong."""
    nodes = (Node("x", "input", 3), Node("fc", "linear", 4, ("x",), bias=False), Node("tanh", "tanh", 4, ("fc",)))
    spec = Spec(nodes, "tanh")
    return Draft("right", spec, {"fc.weight": W}), Draft("wrong", spec, {"fc.weight": wrong()})


def run(frames, output_size):
    return dict(enumerate(hidden(frames)))


def test_guessed_readings_have_the_same_certificate():
    right, off = readings()
    call = Call("hidden(x)", run)
    match = find_match([off, right], [call])
    assert match.draft is right
    found = Certificate.of(certify(Model(right.spec, right.tensors), match, "numpy 2"))
    assert found.passed is True
    assert found.max_rel_error == found.max_abs_error / found.max_abs_output
    assert found.versions["numba"] and found.tolerance == TOLERANCE
    with pytest.raises(UnsupportedError, match=r"agrees with none of 1 readings"):
        find_match([off], [call])
    forced = find_match([off], [call], is_forced=True)
    model = Model(off.spec, off.tensors)
    with pytest.raises(UnsupportedError, match="it differs from numpy 2"):
        certify(model, forced, "numpy 2")
    assert certify(model, forced, "numpy 2", is_forced=True)["passed"] is False


def test_a_guess_that_answers_nan_agrees_with_nothing():
    call = Call("nan(x)", lambda frames, size: dict(enumerate(hidden(frames) * np.nan)))
    with pytest.raises(UnsupportedError, match="answers NaN or infinity to 17 of 17 frames"):
        find_match(readings(), [call])
