"""What all tests share: hypothesis on a machine that others use too, names that are the same in every worker, and the
figures and laws at the end of a run.

`--hypothesis-profile soak` tries twenty times as many examples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

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

# No deadline for one example: the machine's load is not a fault of the code. A failure prints how to repeat it.
settings.register_profile("streamrnn", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", settings.get_profile("streamrnn"), max_examples=2000)
settings.load_profile("streamrnn")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their length: masked websocket frames are random, and workers must agree on the names."""
    return f"{argname}-{len(val)}B" if isinstance(val, bytes | bytearray) else None


def properties(terminalreporter, name: str) -> Iterator[tuple[Any, bool]]:
    """Each value that a test has recorded under `name`, and whether the test passed."""
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if getattr(report, "when", "") == "call":
                yield from ((value, outcome == "passed") for key, value in report.user_properties if key == name)


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the figures that tests have recorded, and the laws."""
    figures = sorted(value for value, _ in properties(terminalreporter, "figure"))
    if figures:
        terminalreporter.write_sep("-", "figures")
        terminalreporter.write_line("\n".join(figures))
    report_laws(terminalreporter)


def report_laws(terminalreporter) -> None:
    """Tell which laws held, for how many nets and examples; `tests/laws/conftest.py` counts them."""
    counts: dict[int, Counter[str]] = {}
    broken: set[int] = set()
    for (law, cell, n_examples), has_passed in properties(terminalreporter, "law"):
        counts.setdefault(law, Counter())[cell] += n_examples
        if not has_passed:
            broken.add(law)
    if not counts:
        return
    n_examples = sum(sum(cells.values()) for cells in counts.values())
    n_held = len(counts.keys() - broken)
    terminalreporter.write_sep("-", f"{n_held} of {len(LAW_NAMES)} laws held, {n_examples} examples")
    for law, cells in sorted(counts.items()):
        verdict = " BROKEN" if law in broken else ""
        text = f"{len(cells)} nets, {sum(cells.values())} examples, at least {min(cells.values())} a net"
        terminalreporter.write_line(f"{law} {LAW_NAMES[law]}: {text}{verdict}")
