"""The results table says what the evaluation files say, misses included."""

from __future__ import annotations

import json
import sys

import pytest

from training import table
from training.checkpoint import Checkpoint
from training.data import DataSet
from training.evaluation import Evaluation, Headline, read_evaluation
from training.fit import History

SET = DataSet("tones", "https://example.org/tones at 1f2e", "CC0", "Tones, by nobody")


def headline(**changes):
    given = {"metric": "test error", "better": "lower", "streaming": 0.25, "offline": 0.25, "baseline": 0.5}
    return Headline(**{**given, "baseline_name": "guessing", "aim": 0.3, **changes})


def evaluation(*headlines):
    checkpoint = Checkpoint({}, {}, 3, "python -m training.recipes.tones train --seed 3", History(), {})
    return Evaluation(
        recipe="tones", model="GRU, 8", data=(SET,), split={"train": 10, "test": 2}, headlines=headlines,
        n_parameters=1234, train_s=75.04, frame_us=2.31, max_abs_difference=1.234e-6, verdict="It tells tones apart.",
        checkpoint=checkpoint, figures={"by class": {"a": 0.5}},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("better", "streaming", "aim", "is_met"),
    [("lower", 0.3, 0.3, True), ("lower", 0.31, 0.3, False), ("higher", 0.9, 0.9, True), ("higher", 0.89, 0.9, False)],
)
def test_an_aim_is_met_or_missed(better, streaming, aim, is_met):
    assert headline(better=better, streaming=streaming, aim=aim).is_met is is_met


def test_without_an_aim_nothing_is_missed():
    assert headline(aim=None, streaming=9.0).is_met


def test_the_file_holds_everything(tmp_path):
    evaluation(headline()).write(tmp_path / "tones.json")
    found = read_evaluation(tmp_path / "tones.json")
    assert found["recipe"] == "tones" and found["seed"] == 3 and found["train_s"] == 75.0
    assert found["data"] == [{"name": "tones", "source": SET.source, "licence": "CC0"}]
    assert found["headlines"][0]["is_met"] is True and found["headlines"][0]["baseline_name"] == "guessing"
    assert found["max_abs_difference"] == "1.23e-06" and found["figures"] == {"by class": {"a": 0.5}}
    assert set(found["versions"]) == {"python", "torch", "numpy"}


def test_a_row_for_each_headline_and_the_facts_once():
    second = headline(metric="test accuracy", better="higher", streaming=0.91, offline=0.91, baseline=None, aim=0.95)
    first_row, second_row = table.rows_of(evaluation(headline(), second).as_plain())
    assert first_row[:4] == ["[`tones`](../recipes/tones.md)", "tones", "1,234", "1 min 15 s"]
    assert first_row[4:9] == ["test error", "0.25", "0.25", "0.5 (guessing)", "<= 0.3: met"]
    assert first_row[9:] == ["1.23e-06", "2.3 us"]
    assert second_row == ["", "", "", "", "test accuracy", "0.91", "0.91", "", ">= 0.95: missed", "", ""]


def test_the_page_is_written_from_the_files(tmp_path, monkeypatch, capsys):
    evaluation(headline()).write(tmp_path / "tones.json")
    page = tmp_path / "results.md"
    monkeypatch.setattr(sys, "argv", ["table", "--results", str(tmp_path), "--page", str(page)])
    table.main()
    text = page.read_text()
    assert text.count("| [`tones`]") == 1 and "- **tones**: It tells tones apart." in text
    assert text in capsys.readouterr().out


def test_the_committed_page_is_that_of_the_committed_files():
    found = [json.loads(path.read_text("ascii")) for path in sorted(table.DEFAULT_RESULTS.glob("*.json"))]
    assert table.PAGE.read_text("utf-8") == table.markdown(found)
