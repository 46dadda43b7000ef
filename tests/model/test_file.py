"""Model files: what is saved is loaded bit for bit, and what is damaged is refused, naming the tensor."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

import streamrnn
from streamrnn import Card
from streamrnn.errors import ModelFileError
from streamrnn.model.file import FORMAT_VERSION, METADATA_KEY
from tests.laws.nets import CELLS, random_model, same_bits

CARD = Card(
    name="vad",
    summary="Speech or not.",
    output_names=("a", "b", "c"),
    labels=("no", "yes", "ü"),
    rate_hz=12.5,
    units={"a": "m/s²"},
    provenance={"seed": 1, "losses": [0.5, 0.25], "versions": {"torch": "2"}, "none": None},
    certificate={"max_abs_error": 1e-7},
    licence="CC0",
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def parts(path):
    """The tensors and the metadata of a model file."""
    with safetensors.safe_open(str(path), "numpy") as file:
        metadata = file.metadata()
    return safetensors.numpy.load_file(path), json.loads(metadata[METADATA_KEY])


def write(path, tensors, header):
    safetensors.numpy.save_file(
        tensors, path, {METADATA_KEY: header if isinstance(header, str) else json.dumps(header)}
    )


@pytest.mark.parametrize("cell", CELLS)
def test_a_saved_model_is_loaded_bit_for_bit(cell, path):
    model = random_model(cell, 5, 18)
    model.save(path)
    loaded = streamrnn.load_model(path)
    assert loaded.spec == model.spec
    assert loaded.digest == model.digest
    assert loaded.tensors.keys() == model.tensors.keys()
    assert all(same_bits(loaded.tensors[name], tensor) for name, tensor in model.tensors.items())


def test_the_card_is_kept(path):
    random_model("classic", 4, 5).with_card(CARD).save(path)
    assert streamrnn.load_model(str(path)).card == CARD


def test_a_card_that_could_not_be_read_is_not_written(path):
    odd = random_model("gru", 3, 4).with_card(Card(provenance={"sizes": {"each": [1, 2]}}))
    with pytest.raises(ModelFileError, match="metadata cannot be read"):
        odd.save(path)
    assert not path.exists()


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(path):
    path.write_bytes(b"old")
    random_model("gru", 4, 5).save(path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    streamrnn.load_model(path)


def test_a_failed_save_leaves_the_old_file(path, monkeypatch):
    path.write_bytes(b"old")

    def fail(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(type(path), "replace", fail)
    with pytest.raises(OSError, match="no space"):
        random_model("gru", 4, 5).save(path)
    assert [(file.name, file.read_bytes()) for file in path.parent.iterdir()] == [(path.name, b"old")]


def test_no_file_is_an_os_error(path):
    with pytest.raises(FileNotFoundError):
        streamrnn.load_model(path)


def refused(path, *words):
    with pytest.raises(ModelFileError) as refusal:
        streamrnn.load_model(path)
    assert refusal.value.code == "bad_model_file"
    for word in words:
        assert word in refusal.value.message


def test_cut_short_anywhere_it_is_refused(path):
    random_model("lstm", 3, 4).save(path)
    whole = path.read_bytes()
    for n in [*range(16), *range(16, len(whole), 29), len(whole) - 1]:
        path.write_bytes(whole[:n])
        refused(path)
    path.write_bytes(whole + b"\0")
    refused(path)


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused(tmp_path_factory, where, bit):
    path = tmp_path_factory.mktemp("flip") / "model.safetensors"
    model = random_model("gru", 3, 4)
    model.save(path)
    damaged = bytearray(path.read_bytes())
    damaged[int(where * len(damaged))] ^= 1 << bit
    path.write_bytes(damaged)
    refused(path)


def test_a_flipped_bit_in_a_tensor_names_the_tensor(path):
    model = random_model("gru", 3, 4)
    model.save(path)
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:start])
    for name in model.tensors:
        damaged = bytearray(whole)
        damaged[start + header[name]["data_offsets"][0]] ^= 1
        path.write_bytes(damaged)
        refused(path, repr(name), "damaged")


def test_a_flipped_bit_anywhere_in_the_header_is_refused(path):
    model = random_model("gru", 3, 4)
    model.save(path)
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    for place in range(8 * start):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            streamrnn.load_model(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"not a model", b"PK\x03\x04" + bytes(100), b"\xff" * 64])
def test_what_is_no_safetensors_file_is_refused(path, content):
    path.write_bytes(content)
    refused(path, "safetensors")


def test_tensors_without_our_metadata_are_refused(path):
    safetensors.numpy.save_file({"a": np.zeros(3, np.float32)}, path)
    refused(path, "metadata", "not a streamrnn model")


class TestMetadata:
    @pytest.fixture
    def saved(self, path):
        random_model("lstm", 3, 4).save(path)
        return parts(path)

    def test_a_newer_version_is_refused_by_number(self, path, saved):
        write(path, saved[0], {"version": FORMAT_VERSION + 1, "new": {}})
        refused(path, f"version {FORMAT_VERSION + 1}", f"up to {FORMAT_VERSION}")

    @pytest.mark.parametrize("version", [0, -1, "1", None, 1.5])
    def test_a_version_that_never_was_is_refused(self, path, saved, version):
        tensors, header = saved
        write(path, tensors, header | {"version": version})
        refused(path, "version" if isinstance(version, int) else "metadata")

    @pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"version": 1}', '{"version":' + "[" * 5000])
    def test_text_that_is_no_header_is_refused(self, path, saved, text):
        write(path, saved[0], text)
        refused(path, "metadata")

    def test_an_unknown_key_is_refused(self, path, saved):
        tensors, header = saved
        write(path, tensors, header | {"extra": 1})
        refused(path, "extra")
        header["spec"]["nodes"][1]["extra"] = 1
        write(path, tensors, header)
        refused(path, "extra")

    def test_a_missing_tensor_is_named(self, path, saved):
        tensors, header = saved
        del tensors["cell.bias_hh"]
        write(path, tensors, header)
        refused(path, "'cell.bias_hh'", "missing")
        del header["digests"]["cell.bias_hh"]
        write(path, tensors, header)
        refused(path, "'cell.bias_hh'", "missing")

    def test_an_unknown_tensor_is_named(self, path, saved):
        tensors, header = saved
        write(path, tensors | {"more": tensors["cell.bias_hh"]}, header)
        refused(path, "'more'")
        header["digests"]["more"] = header["digests"]["cell.bias_hh"]
        write(path, tensors | {"more": tensors["cell.bias_hh"]}, header)
        refused(path, "'more'", "no node")

    def test_a_shape_that_disagrees_is_named(self, path, saved):
        tensors, header = saved
        header["spec"]["nodes"][1]["size"] = 5
        write(path, tensors, header)
        refused(path, "'cell.weight_ih'", "(20, 3)", "(16, 3)")

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_a_tensor_that_is_not_finite_is_named(self, path, saved, value):
        import hashlib

        tensors, header = saved
        tensors["cell.bias_ih"][3] = value
        header["digests"]["cell.bias_ih"] = hashlib.sha256(tensors["cell.bias_ih"].tobytes()).hexdigest()
        write(path, tensors, header)
        refused(path, "'cell.bias_ih'", "NaN or Inf")

    def test_another_dtype_is_named(self, path, saved):
        import hashlib

        tensors, header = saved
        tensors["cell.bias_ih"] = tensors["cell.bias_ih"].astype(np.float16)
        header["digests"]["cell.bias_ih"] = hashlib.sha256(tensors["cell.bias_ih"].tobytes()).hexdigest()
        write(path, tensors, header)
        refused(path, "'cell.bias_ih'", "float16")

    def test_a_bad_spec_is_refused(self, path, saved):
        tensors, header = saved
        header["spec"]["output"] = "elsewhere"
        write(path, tensors, header)
        refused(path, "'elsewhere'")
