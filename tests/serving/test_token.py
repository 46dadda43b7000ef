"""Resume tokens are secrets that nobody guesses, and only their hashes are kept."""

from __future__ import annotations

import base64

import pytest

from streamrnn.serving.token import TOKEN_BYTES, hash_of, is_one_of, make_token


def test_a_token_is_256_random_bits_as_text():
    tokens = {make_token() for _ in range(1000)}
    assert len(tokens) == 1000
    for token in tokens:
        assert len(base64.urlsafe_b64decode(token + "=")) == TOKEN_BYTES == 32


def test_the_hash_tells_nothing_of_the_token():
    token = make_token()
    assert len(hash_of(token)) == 32
    assert token.encode() not in hash_of(token)
    assert hash_of(token) == hash_of(token) != hash_of(make_token())


@pytest.mark.parametrize("n_kept", [1, 2])
def test_any_of_the_kept_ones_is_known_and_no_other(n_kept):
    tokens = [make_token() for _ in range(n_kept)]
    hashes = tuple(hash_of(token) for token in tokens)
    assert all(is_one_of(token, hashes) for token in tokens)
    for stranger in (make_token(), "", tokens[0][:-1], tokens[0] + "A", hashes[0].hex(), "größe"):
        assert not is_one_of(stranger, hashes)


def test_where_none_is_kept_none_is_known():
    assert not is_one_of(make_token(), ())
