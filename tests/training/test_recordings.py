"""The bundled recording comes out of its generator byte for byte, and is what it says it is."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json

import numpy as np

from streamrnn import bundled
from training.series.recordings import DEFAULT_PATH, FAULTS, N_FRAMES, main, record, to_csv
from training.sets.nab import nab_series

MACHINE = "realKnownCause/machine_temperature_system_failure.csv"


def test_the_generator_makes_the_committed_file_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["recordings", "--out", str(tmp_path / "again.csv")])
    main()
    made, committed = (tmp_path / "again.csv").read_bytes(), DEFAULT_PATH.read_bytes()
    assert hashlib.sha256(made).hexdigest() == hashlib.sha256(committed).hexdigest()
    assert bundled.path("temperature_recording").read_bytes() == committed
    assert "4032 rows" in capsys.readouterr().out


def test_another_seed_makes_another_recording():
    assert to_csv(record(1, 50)) != to_csv(record(2, 50))


def test_columns_cadence_and_faults():
    with bundled.path("temperature_recording").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["timestamp", "value", "fault"]
    assert len(rows) == N_FRAMES
    times = np.array([np.datetime64(row["timestamp"].replace(" ", "T")) for row in rows])
    assert set(np.diff(times)) == {np.timedelta64(300, "s")}
    runs = [(kind, len(list(group))) for kind, group in itertools.groupby(row["fault"] for row in rows) if kind]
    assert runs == [(fault.kind, fault.n_frames) for fault in FAULTS]
    assert {kind for kind, _ in runs} == {"drop", "overheat", "stuck"}


def test_the_faults_are_what_they_are_called():
    rows = record()
    for fault in FAULTS:
        inside = np.array([row.value for row in rows[fault.first : fault.last + 1]])
        before = rows[fault.first - 1].value
        if fault.kind == "stuck":
            assert np.all(inside == before)
        elif fault.kind == "drop":
            assert inside.min() < before - 25.0
        else:
            assert inside.max() > before + 20.0


def test_the_healthy_part_has_the_character_of_a_healthy_machine():
    values = np.array([row.value for row in record()][: FAULTS[0].first])
    assert 80.0 < values.mean() < 95.0 and 3.0 < values.std() < 10.0
    assert 0.7 < np.diff(values).std() < 1.3  # the NAB series before its first window: 1.06


def test_no_value_is_taken_from_the_benchmark(nab):
    """Both are rounded to 3 places; by chance some single values agree, but no three in a row."""
    theirs = np.round(nab_series(nab, MACHINE).values, 3)
    triples = {tuple(theirs[i : i + 3]) for i in range(len(theirs) - 2)}
    ours = [row.value for row in record()]
    assert not any(tuple(ours[i : i + 3]) in triples for i in range(len(ours) - 2))


def test_the_results_file_speaks_of_this_recording():
    results = json.loads((DEFAULT_PATH.parents[2] / "training" / "results" / "sensor_anomaly.json").read_text())
    assert results["figures"]["GRU, engine"]["bundled recording: faults found"].endswith(f"of {len(FAULTS)}")
