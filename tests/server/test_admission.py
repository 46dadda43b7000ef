"""Which models a server takes: a certificate that failed keeps one out, one that says nothing does not."""

import pytest

from streamrnn import Card
from streamrnn.errors import UnprovenError
from streamrnn.server.admission import admit, newer_of
from streamrnn.server.app import Server
from tests.laws.nets import random_model

PROVED = {"framework": "torch 2", "passed": True, "max_abs_error": 1e-6, "max_abs_output": 1.0}
FAILED = PROVED | {"passed": False, "max_abs_error": 0.5}


def model_of(certificate, seed=1):
    return random_model("lstm", 3, 5, seed=seed).with_card(Card(certificate=certificate))


def test_one_that_was_proved_is_taken_without_a_word(caplog):
    caplog.set_level("INFO")
    admit("m", model_of(PROVED), is_forced=False)
    admit("m", model_of({"max_abs_error": 1e-5, "max_abs_output": 30.0}), is_forced=False)  # of an older release
    assert not caplog.records


@pytest.mark.parametrize(
    "certificate",
    [
        FAILED,
        PROVED | {"max_abs_error": 0.5},  # says that it passed, with an error beyond the tolerance
        {"max_abs_error": 0.5, "max_abs_output": 2.0},
        PROVED | {"passed": False, "max_abs_error": None},
        PROVED | {"heads": {"y": {"max_abs_error": 0.5, "max_abs_output": 1.0}}},
        PROVED | {"example": {"passed": False, "max_abs_error": 0.5, "max_abs_output": 1.0}},
        PROVED | {"passed": False, "n_not_finite": 3},
    ],
)
def test_one_that_failed_is_refused_by_name_unless_forced(caplog, certificate):
    with pytest.raises(UnprovenError, match="model 'm' is not served"):
        admit("m", model_of(certificate), is_forced=False)
    with pytest.raises(UnprovenError):
        Server({"m": model_of(certificate)}, port=0)
    admit("m", model_of(certificate), is_forced=True)
    assert "model m is served by force" in caplog.text


def test_the_error_stands_in_the_refusal():
    with pytest.raises(UnprovenError, match=r"differs from torch 2 by 0\.5 .*more than 0\.0001 allows") as caught:
        admit("m", model_of(FAILED), is_forced=False)
    assert caught.value.fields == {"model": "m", "max_abs_error": 0.5}


@pytest.mark.parametrize("certificate", [{}, {"passed": None}, {"reading": "lstm", "int8": {"max_abs_error": 0.1}}])
def test_one_that_was_never_compared_is_taken_with_a_line_in_the_log(caplog, certificate):
    caplog.set_level("INFO")
    admit("m", model_of(certificate), is_forced=False)
    assert "model m was never compared" in caplog.text


def test_of_the_models_read_again_only_those_that_failed_stay_out(caplog):
    served = {name: model_of(PROVED) for name in ("a", "b", "c")}
    read = {"a": model_of(PROVED, seed=2), "b": model_of(FAILED, seed=2), "c": served["c"], "d": model_of(PROVED)}
    assert newer_of(served, read, is_forced=False) == ["a"]
    assert "model 'b' is not served" in caplog.text
    assert newer_of(served, read, is_forced=True) == ["a", "b"]
