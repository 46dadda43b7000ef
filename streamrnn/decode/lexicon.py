"""Lexicon: a list of words as a tree of letters, to see early which letters can no longer become a word."""

from __future__ import annotations

from collections.abc import Iterable

from streamrnn.errors import OptionError


class Branch:
    """What has been spelled so far.

    Attributes:
        branches: what may follow, by character.
        is_word: whether it is a word of the list.
    """

    __slots__ = ("branches", "is_word")

    def __init__(self) -> None:
        self.branches: dict[str, Branch] = {}
        self.is_word = False

    def after(self, letters: str) -> Branch | None:
        """The branch that so many more letters lead to, None: no word of the list goes on so."""
        branch: Branch | None = self
        for letter in letters:
            if branch is not None:
                branch = branch.branches.get(letter)
        return branch


def grow(words: Iterable[str], letters: Iterable[str]) -> Branch:
    """The root of the tree of some words.

    Raises:
        OptionError: a word is empty, or has a character that is in none of the letters.
    """
    root, known = Branch(), set("".join(letters))
    for word in words:
        if not word or not known.issuperset(word):
            raise OptionError(f"decoder: expected words of the model's letters, got {word!r}", field="words")
        branch = root
        for letter in word:
            branch = branch.branches.setdefault(letter, Branch())
        branch.is_word = True
    return root
