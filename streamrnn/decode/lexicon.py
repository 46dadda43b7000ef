"""Lexicon: a list of words as a tree of letters, to see early which letters can no longer become a word."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from streamrnn.errors import OptionError

MAX_GROWN = 4096
"""Branches of one tree that are kept grown: a list comes from a client, and each of its letters may need one."""


class _Tree:
    """What all branches of a tree share.

    Attributes:
        words: sorted, each once.
        n_grown: branches that hang on the root.
    """

    __slots__ = ("n_grown", "root", "words")

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.n_grown = 0
        self.root = Branch(self, 0, len(words), 0)


class Branch:
    """What has been spelled so far: the words of the list that go on so, which stand side by side in it.

    It grows when something is spelled on. Where too many have grown the root lets go of them, and they grow again; so
    only the root is the same object each time.

    Attributes:
        is_word: whether it is a word of the list.
    """

    __slots__ = ("_branches", "_depth", "_end", "_first", "_tree", "is_word")

    def __init__(self, tree: _Tree, first: int, end: int, depth: int) -> None:
        self._tree = tree
        self._first, self._end, self._depth = first, end, depth
        self.is_word = first < end and len(tree.words[first]) == depth
        self._branches: dict[str, Branch] | None = None

    def after(self, letters: str) -> Branch | None:
        """The branch that so many more letters lead to, None: no word of the list goes on so."""
        branch: Branch | None = self
        for letter in letters:
            if branch is not None:
                branches = branch._branches
                branch = (branch._grow() if branches is None else branches).get(letter)
        return branch

    def _grow(self) -> dict[str, Branch]:
        """Make the branches that may follow, by letter."""
        tree, depth = self._tree, self._depth
        if tree.n_grown >= MAX_GROWN:
            tree.root._branches, tree.n_grown = None, 0
        branches: dict[str, Branch] = {}
        first, words = self._first + self.is_word, tree.words
        while first < self._end:
            letter = words[first][depth]
            end = bisect_right(words, letter, first, self._end, key=lambda word: word[depth])
            branches[letter] = Branch(tree, first, end, depth + 1)
            first = end
        tree.n_grown += len(branches)
        self._branches = branches
        return branches


def grow(words: Iterable[str], letters: Iterable[str]) -> Branch:
    """The root of the tree of some words.

    Raises:
        OptionError: a word is empty, or has a character that is in none of the letters.
    """
    known, distinct = set("".join(letters)), set(words)
    for word in distinct:
        if not word or not known.issuperset(word):
            raise OptionError(f"decoder: expected words of the model's letters, got {word[:40]!r}", field="words")
    return _Tree(sorted(distinct)).root
