"""The results table: one line for each recipe, from the stored evaluation files.

python -m training.table        prints it and writes docs/reference/results.md
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from training.data import PROJECT_ROOT
from training.evaluation import read_evaluation
from training.options import DEFAULT_RESULTS

PAGE = PROJECT_ROOT / "docs" / "reference" / "results.md"
HEAD = """# Results

Every figure below was measured by the recipe's own `evaluate` and stands in a file of its name in `training/results/`;
this page is written by `python -m training.table`. *Streaming* is measured through sessions of the engine, frame by
frame; *offline* is PyTorch over whole recordings. *Difference* is the largest one between any two of their outputs.
"""
COLUMNS = (
    *("recipe", "data", "parameters", "training", "metric", "streaming", "offline", "baseline", "aim"),
    *("difference", "a frame"),
)


def rows_of(evaluation: dict[str, Any]) -> list[list[str]]:
    """The lines of one recipe: one for each headline, the recipe's own facts in the first."""
    facts = [
        f"[`{evaluation['recipe']}`](../recipes/{evaluation['recipe']}.md)",
        ", ".join(one["name"] for one in evaluation["data"]),
        f"{evaluation['n_parameters']:,}",
        time_text(evaluation["train_s"]),
    ]
    ends = [str(evaluation["max_abs_difference"]), f"{evaluation['frame_us']:.1f} us"]
    rows = []
    for i, one in enumerate(evaluation["headlines"]):
        figures = [
            one["metric"],
            number(one["streaming"]),
            number(one["offline"]),
            f"{number(one['baseline'])} ({one['baseline_name']})" if one["baseline"] is not None else "",
            aim_text(one),
        ]
        rows.append([*(facts if not i else [""] * len(facts)), *figures, *(ends if not i else [""] * len(ends))])
    return rows


def aim_text(headline: dict[str, Any]) -> str:
    """The aim, and whether it is met."""
    if headline["aim"] is None:
        return ""
    sign = "<=" if headline["better"] == "lower" else ">="
    return f"{sign} {number(headline['aim'])}: {'met' if headline['is_met'] else 'missed'}"


def number(value: float) -> str:
    """Four significant digits."""
    return f"{value:.4g}"


def time_text(seconds: float) -> str:
    """Seconds, or minutes and seconds."""
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def markdown(evaluations: list[dict[str, Any]]) -> str:
    """The page."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    for evaluation in evaluations:
        lines += [f"| {' | '.join(row)} |" for row in rows_of(evaluation)]
    verdicts = [f"- **{one['recipe']}**: {one['verdict']}" for one in evaluations]
    return "\n".join([HEAD, *lines, "", *verdicts, ""])


def main() -> None:
    """Print the table and write the page."""
    parser = argparse.ArgumentParser(prog="python -m training.table", description=__doc__)
    parser.add_argument("--results", type=Path, default=DEFAULT_RESULTS, help="folder of evaluation files")
    parser.add_argument("--page", type=Path, default=PAGE, help="page to write")
    given = parser.parse_args()
    page = markdown([read_evaluation(path) for path in sorted(given.results.glob("*.json"))])
    given.page.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
