"""The life of a session is the table of PROTOCOL section 5a, and nothing else can happen to it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from streamrnn.serving.life import LIFE, Life, Turn, life_after

PROTOCOL = Path(__file__).resolve().parents[2] / "clients" / "PROTOCOL.md"
TURNS: dict[str, Turn] = {
    "a frame": "frame",
    "silence for `park_ms`, or no connection": "park",
    "a frame, or any other message that needs the state": "wake",
    "resumed": "resume",
    "`expire_ms`": "expire",
    "the server stops": "drain",
    "deadline of the stop": "close",
    "`close`, a bug, another owner": "close",
}
ALIVE = ("open", "live", "parked", "draining")
TAKEN_OVER = {("open", "resume", "open"), ("live", "resume", "live")}
"""A session that is taken over goes on as it is, so the prose has no row for it."""


def written() -> set[tuple[str, str, str]]:
    """State, turn and next state of each row in the protocol's table."""
    text = PROTOCOL.read_text(encoding="utf-8").partition("The life of a session:")[2].partition("### 5b")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    found: set[tuple[str, str, str]] = set()
    for states, event, after, _ in rows[2:]:
        turn = next(turn for words, turn in TURNS.items() if event == words or event.startswith(words + ";"))
        before = ALIVE if states == "any of these" else states.split(", ")
        found |= {(state, turn, after.partition(";")[0]) for state in before}
    return found


def test_the_table_is_that_of_the_protocol():
    assert {(life, turn, after) for life, row in LIFE.items() for turn, after in row.items()} == written() | TAKEN_OVER


@pytest.mark.parametrize("life", get_args(Life))
@pytest.mark.parametrize("turn", get_args(Turn))
def test_every_turn_is_made_or_is_a_bug(life, turn):
    after = LIFE[life].get(turn)
    if after is None:
        with pytest.raises(AssertionError, match=f"{turn} cannot happen to a session that is {life}"):
            life_after(life, turn)
    else:
        assert life_after(life, turn) == after


def test_every_state_stands_in_the_table_and_can_be_reached():
    reached, grown = {"open"}, set()
    while reached != grown:
        grown = set(reached)
        reached |= {after for life in grown for after in LIFE[life].values()}
    assert reached == set(LIFE) == set(get_args(Life))


@pytest.mark.parametrize("life", ["expired", "closed"])
def test_what_is_over_stays_over(life):
    assert not LIFE[life]


@pytest.mark.parametrize("life", ALIVE)
def test_whatever_lives_can_be_closed(life):
    assert life_after(life, "close") == "closed"
