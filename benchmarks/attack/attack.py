"""One attack: what is done, and what the right answer is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Play = Callable[[int], str]
"""Plays an attack once against the server at a port; returns what was answered, in words."""


@dataclass(frozen=True)
class Attack:
    """An attack.

    Attributes:
        name: what is done.
        expected: the answer that the protocol demands.
        play: does it.
        most: how often it is played at most.
    """

    name: str
    expected: str
    play: Play
    most: int = 20


ATTACKS: list[Attack] = []
"""All, in the order in which they are played."""


def attack(name: str, expected: str, most: int = 20) -> Callable[[Play], Play]:
    """Enter a function into `ATTACKS`."""

    def enter(play: Play) -> Play:
        ATTACKS.append(Attack(name, expected, play, most))
        return play

    return enter
