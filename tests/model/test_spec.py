"""A spec whose nodes, names, sizes or tensors disagree is refused, naming the node or tensor."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn import Card, Model, Node, Spec
from streamrnn.errors import SpecError
from streamrnn.model.spec import MAX_SIZE, Activation, Head
from streamrnn.model.trial import play
from tests.laws.nets import CELLS, random_frames, random_model, random_tensors, same_bits
from tests.reference import Reference

X = Node("input", "input", 3)
STEPS = Node("input", "input", 3, steps=4)
TOKENS = Node("input", "input", 1, n_tokens=5)
TANH = Activation("tanh")


def spec(*nodes: Node, output: str | None = None) -> Spec:
    return Spec(nodes, output or (nodes[-1].name if nodes else "input"))


BAD_SPECS = {
    "empty": (spec(), "first node"),
    "no input": (spec(Node("a", "tanh", 3, ("a",))), "first node"),
    "two inputs": (spec(X, Node("b", "input", 3)), "'b'"),
    "a name twice": (spec(X, Node("a", "tanh", 3, ("input",)), Node("a", "relu", 3, ("input",))), "'a'"),
    "no name": (spec(X, Node("", "tanh", 3, ("input",)), output="input"), "not empty"),
    "unknown kind": (spec(X, Node("a", "convnet", 3, ("input",))), "'a': kind"),  # type: ignore[arg-type]
    "unknown nonlinearity": (spec(X, Node("a", "rnn", 3, ("input",), nonlinearity="gelu")), "nonlinearity"),  # type: ignore[arg-type]
    "unknown reset": (spec(X, Node("a", "gru", 3, ("input",), reset="never")), "reset"),  # type: ignore[arg-type]
    "size 0": (spec(X, Node("a", "linear", 0, ("input",))), "'a': size"),
    "size below 0": (spec(Node("input", "input", -1)), "'input': size"),
    "giant size": (spec(Node("input", "input", MAX_SIZE + 1)), "'input': size"),
    "giant n_tokens": (spec(Node("input", "input", 1, n_tokens=MAX_SIZE + 1)), "n_tokens"),
    "n_tokens below 0": (spec(Node("input", "input", 1, n_tokens=-1)), "n_tokens"),
    "reads what is not there": (spec(X, Node("a", "tanh", 3, ("b",))), "'a' reads 'b'"),
    "reads a later node": (spec(X, Node("a", "tanh", 3, ("b",)), Node("b", "tanh", 3, ("input",))), "'a' reads 'b'"),
    "reads itself": (spec(X, Node("a", "tanh", 3, ("a",))), "'a' reads 'a'"),
    "previous of nothing": (spec(X, Node("a", "previous", 3, ("b",))), "'b'"),
    "previous of another size": (spec(X, Node("a", "previous", 4, ("input",))), "'a'"),
    "output is not there": (spec(X, output="y"), "'y'"),
    "input reads": (spec(Node("input", "input", 3, ("input",))), "'input'"),
    "tanh reads two": (spec(X, Node("a", "tanh", 3, ("input", "input"))), "'a' of kind tanh cannot read 2"),
    "tanh reads none": (spec(X, Node("a", "tanh", 3)), "cannot read 0"),
    "add reads one": (spec(X, Node("a", "add", 3, ("input",))), "cannot read 1"),
    "concat reads none": (spec(X, Node("a", "concat", 3)), "cannot read 0"),
    "tanh changes the size": (spec(X, Node("a", "tanh", 4, ("input",))), "'a'"),
    "affine changes the size": (spec(X, Node("a", "affine", 4, ("input",))), "'a'"),
    "add of two sizes": (spec(X, Node("a", "linear", 4, ("input",)), Node("b", "add", 3, ("input", "a"))), "'b'"),
    "concat of another size": (spec(X, Node("a", "concat", 5, ("input", "input"))), "'a' joins 6"),
    "embedding of a dense input": (spec(X, Node("a", "embedding", 4, ("input",), n_tokens=5)), "'a'"),
    "embedding of a layer": (
        spec(TOKENS, Node("a", "linear", 1, ("input",)), Node("b", "embedding", 4, ("a",), n_tokens=5)),
        "'b'",
    ),
    "embedding too short": (spec(TOKENS, Node("a", "embedding", 4, ("input",), n_tokens=4)), "'a'"),
    "tokens of size 2": (spec(Node("input", "input", 2, n_tokens=5)), "size 1"),
    "tokens in two steps": (spec(Node("input", "input", 1, n_tokens=5, steps=2)), "size 1"),
    "steps that change": (spec(STEPS, Node("a", "linear", 3, ("input",), steps=2)), "'a' of kind linear has 2 steps"),
    "giant in steps": (spec(Node("input", "input", MAX_SIZE, steps=2)), "more than"),
    "stride that does not divide": (spec(STEPS, Node("a", "conv", 3, ("input",), stride=3)), "strides by 3"),
    "windows that do not fit": (spec(STEPS, Node("a", "conv", 3, ("input",), kernel=3, pads=(0, 0), steps=4)), "are 2"),
    "mirror too wide": (
        spec(STEPS, Node("a", "conv", 3, ("input",), pads=(4, 0), pad_mode="reflect", steps=8)),
        "pads (4, 0)",
    ),
    "groups that do not divide": (spec(X, Node("a", "conv", 4, ("input",), groups=2)), "2 groups do not divide"),
    "pool of another size": (spec(X, Node("a", "max_pool", 4, ("input",))), "reads 3"),
    "slice beyond the end": (spec(X, Node("a", "slice", 2, ("input",), start=2)), "values 2 to 4 of 3"),
    "gather of a wrong index": (spec(X, Node("a", "gather", 2, ("input",), index=(0, 3))), "indices in [0, 3)"),
    "slice of too many steps": (
        spec(STEPS, Node("a", "slice_steps", 3, ("input",), start=3, steps=2)),
        "takes 2 steps",
    ),
    "fold to another size": (spec(STEPS, Node("a", "fold", 11, ("input",))), "folds 4 steps"),
    "unfold of steps": (spec(STEPS, Node("a", "unfold", 3, ("input",), steps=4)), "unfolds"),
    "join of other steps": (spec(STEPS, Node("a", "concat_steps", 3, ("input", "input"), steps=4)), "joins 8 steps"),
    "statistics of another size": (spec(X, Node("a", "running_stats", 3, ("input",))), "deviations of 3"),
    "norm in odd groups": (spec(X, Node("a", "group_norm", 3, ("input",), groups=2)), "groups do not divide"),
    "scan of two inputs": (spec(X, Node("a", "ssm", 3, ("input", "input"))), "cannot read 2"),
    "complex of odd size": (spec(X, Node("a", "diagonal", 3, ("input",), is_complex=True)), "'a'"),
    "clamp upside down": (spec(X, Node("a", "clamp", 3, ("input",), alpha=1.0)), "clamps from 1.0 to 0.0"),
    "logarithm below 0": (spec(X, Node("a", "log", 3, ("input",), alpha=-1.0)), "at least -1.0"),
    "two activations of an lstm": (
        spec(X, Node("a", "lstm", 3, ("input",), activations=(TANH, TANH))),
        "3 activations",
    ),
    "an unknown activation": (
        spec(X, Node("a", "rnn", 3, ("input",), activations=(Activation("softmax"),))),  # type: ignore[arg-type]
        "'softmax' is no activation",
    ),
    "peepholes of a gru": (spec(X, Node("a", "gru", 3, ("input",), peepholes=True)), "peepholes"),
    "kernel that is no number": (spec(X, Node("a", "conv", 3, ("input",), kernel=None)), "'a': kernel must be 1"),  # type: ignore[arg-type]
    "clip below 0": (spec(X, Node("a", "gru", 3, ("input",), clip=-1.0)), "clip -1.0"),
    "heads of another size": (Spec((X,), "input", heads=(Head("a", 2),)), "share the 3 values"),
    "delay below 0": (Spec((X,), "input", delay=-1), "delay"),
}


@pytest.mark.parametrize("name", BAD_SPECS)
def test_a_bad_spec_is_refused(name):
    bad, words = BAD_SPECS[name]
    with pytest.raises(SpecError) as refusal:
        Model(bad, {})
    assert refusal.value.code == "bad_spec"
    assert words in refusal.value.message


@pytest.mark.parametrize("cell", CELLS)
def test_each_tensor_is_checked_by_name(cell):
    good = random_model(cell, 4, 6)
    for name, tensor in good.tensors.items():
        others = {key: value for key, value in good.tensors.items() if key != name}
        not_finite = tensor.copy()
        not_finite.flat[-1] = np.nan
        faults = [
            others,
            others | {name: tensor[..., :-1]},
            others | {name: tensor.astype(np.float64)},
            others | {name: not_finite},
            others | {name: np.full_like(tensor, np.inf)},
            others | {name: tensor, name + "2": tensor},
        ]
        for tensors in faults:
            with pytest.raises(SpecError, match=name.replace(".", r"\.")):
                Model(good.spec, tensors)


def test_the_tensors_are_copied():
    good = random_model("lstm", 4, 6)
    tensors = random_tensors(good.spec, 0)
    model = Model(good.spec, tensors)
    digest = model.digest
    for tensor in tensors.values():
        tensor[:] = 0
    assert Model(model.spec, model.tensors).digest == digest


def test_names_in_the_card_fit_the_sizes():
    good = random_model("linear", 3, 2)
    with pytest.raises(SpecError, match="input_names must hold 3"):
        good.with_card(Card(input_names=("a",)))
    with pytest.raises(SpecError, match="output_names must hold 2"):
        good.with_card(Card(output_names=("a", "b", "c")))


def test_a_previous_named_like_a_cells_state_keeps_its_own_place():
    graph = spec(
        X,
        Node("a", "rnn", 3, ("input",)),
        Node("a.h", "previous", 3, ("input",)),
        Node("sum", "add", 3, ("a", "a.h")),
    )
    model = Model(graph, random_tensors(graph, 1))
    xs = random_frames(model, 20)
    np.testing.assert_allclose(play(model, xs, 20), Reference(graph, model.tensors).run(xs), atol=1e-6)


def test_a_delay_line_of_several_frames():
    graph = spec(
        X,
        Node("one", "previous", 3, ("input",)),
        Node("two", "previous", 3, ("one",)),
        Node("y", "add", 3, ("two", "two")),
    )
    model = Model(graph, {})
    xs = random_frames(model, 9)
    assert same_bits(play(model, xs, 4), np.concatenate([np.zeros((2, 3), np.float32), xs[:-2] * 2]))


def test_any_node_may_be_the_output():
    for node in random_model("all heads", 4, 6).spec.nodes:
        good = random_model("all heads", 4, 6)
        model = Model(Spec(good.spec.nodes, node.name), good.tensors)
        xs = random_frames(model, 5)
        assert model.output_size == node.size
        np.testing.assert_allclose(play(model, xs, 5), Reference(model.spec, model.tensors).run(xs), atol=1e-5)


def test_the_digest_tells_models_apart():
    models = [random_model(cell, 4, 6, seed) for cell in CELLS for seed in (0, 1)]
    models = [model for i, model in enumerate(models) if model.tensors or i % 2]  # the same maps are the same model
    assert len({model.digest for model in models}) == len(models)
    assert random_model("gru", 4, 6).digest == random_model("gru", 4, 6).digest
