"""Tiny Shakespeare: 1,115,394 characters of plays."""

from pathlib import Path

from training.data import DataMissing, DataSet

TINYSHAKESPEARE = DataSet(
    name="tinyshakespeare",
    source="https://github.com/karpathy/char-rnn at 6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e (data/tinyshakespeare)",
    licence="text: public domain; repository: MIT",
    attribution="works of William Shakespeare (public domain), collected as tinyshakespeare by Andrej Karpathy (MIT)",
)


def shakespeare_text(folder: Path) -> str:
    """Load the whole text of tinyshakespeare (1,115,394 characters of 65 symbols).

    Raises:
        DataMissing: `input.txt` is not there.
    """
    path = folder / "input.txt"
    if not path.is_file():
        raise DataMissing(TINYSHAKESPEARE, "input.txt", "the folder tinyshakespeare/")
    return path.read_text(encoding="ascii")
