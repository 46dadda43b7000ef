"""For all tests: how many examples hypothesis tries, and the count of the laws at the end of a run.

`--hypothesis-profile soak` tries forty times as many.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

LAW_NAMES = {
    1: "streaming is the whole sequence",
    2: "in a batch as alone",
    3: "any chunking",
    4: "a reused slot is a fresh one",
    5: "snapshot, restore, fork",
    6: "one output a frame, in order",
    7: "NaN stays at home",
}
SLOW_IS_FINE = [HealthCheck.too_slow]

settings.register_profile("quick", max_examples=25, deadline=None, print_blob=True, suppress_health_check=SLOW_IS_FINE)
settings.register_profile("soak", max_examples=1000, deadline=None, print_blob=True, suppress_health_check=SLOW_IS_FINE)
settings.load_profile("quick")


def pytest_terminal_summary(terminalreporter) -> None:
    """Tell which laws held, for how many cells and examples; `tests/laws/conftest.py` counts them."""
    counts: dict[int, dict[str, int]] = {}
    broken: set[int] = set()
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "law" and report.when == "call":
                    law, cell, n_examples = value
                    cells = counts.setdefault(law, {})
                    cells[cell] = cells.get(cell, 0) + n_examples
                    if outcome != "passed":
                        broken.add(law)
    if not counts:
        return
    n_held, total = len(counts.keys() - broken), sum(sum(cells.values()) for cells in counts.values())
    terminalreporter.write_sep("-", f"{n_held} of {len(LAW_NAMES)} laws held, {total} examples")
    for law, cells in sorted(counts.items()):
        n_examples, verdict = sum(cells.values()), " BROKEN" if law in broken else ""
        text = f"{len(cells)} cells, {n_examples} examples, at least {min(cells.values())} a cell"
        terminalreporter.write_line(f"{law} {LAW_NAMES[law]}: {text}{verdict}")
