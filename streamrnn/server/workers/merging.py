"""Pages of metrics from several workers become one: each family once, with the samples of all."""

from __future__ import annotations

from collections.abc import Iterable

HEADS = ("# HELP ", "# TYPE ")


def merged(pages: Iterable[str]) -> str:
    """One page in Prometheus text format, of pages in the same.

    Every sample keeps its line as it is; a label must tell those of one page from those of another. In each page the
    lines of a family stand together, behind its HELP and TYPE, as the format demands.
    """
    families: dict[str, tuple[list[str], list[str]]] = {}
    for page in pages:
        samples: list[str] = []
        for line in page.splitlines():
            if line.startswith(HEADS):
                heads, samples = families.setdefault(line.split(" ", 3)[2], ([], []))
                if line not in heads:
                    heads.append(line)
            elif line:
                samples.append(line)
    return "".join(f"{line}\n" for heads, samples in families.values() for line in (*heads, *samples))


def family_page(name: str, kind: str, text: str, values: Iterable[tuple[int, float]]) -> str:
    """A page of one family, with a value for each worker's number."""
    samples = [f'{name}{{worker="{number}"}} {float(value)}' for number, value in values]
    return "".join(f"{line}\n" for line in (f"# HELP {name} {text}", f"# TYPE {name} {kind}", *samples))
