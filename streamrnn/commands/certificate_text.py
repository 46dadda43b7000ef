"""A parity certificate for people: the verdict, what was tried, how far the two were apart."""

from __future__ import annotations

from collections.abc import Iterator

from streamrnn.model.certificate import Certificate, Compared, Figures

NEVER = "none: it was never compared with an original"


def certificate_lines(certificate: Certificate) -> Iterator[tuple[str, str]]:
    """Labels and texts, in order."""
    yield "verdict", verdict(certificate)
    if certificate.framework:
        yield "framework", certificate.framework
    if certificate.call:
        yield "call", certificate.call
    if certificate.reading:
        yield "reading", certificate.reading
    if certificate.passed is not None:
        yield from _tried("random", certificate)
        if certificate.example is not None:
            yield from _tried("example", certificate.example)
        if certificate.frames:
            yield "frames", certificate.frames
    if certificate.lengths:
        yield "lengths", f"sequences of {_listed(certificate.lengths)} frames, each answered once"
    if certificate.chunkings:
        yield "chunkings", f"{_listed(certificate.chunkings)} frames a call, all the same bits"
    if losses := narrow_losses(certificate):
        yield "narrow", losses
    if certificate.versions:
        versions = ", ".join(f"{name} {version}" for name, version in certificate.versions.items())
        yield "versions", f"{versions}; vectors of {certificate.vector_width} lanes"


def verdict(certificate: Certificate) -> str:
    """One line: passed or not, or never compared."""
    if certificate.fault:
        return f"FAILED: {certificate.fault}"
    if certificate.passed is None:
        return NEVER
    return f"passed: within {certificate.tolerance:g} of the original, relative to its largest output where above 1"


def narrow_losses(certificate: Certificate) -> str:
    """By how much outputs would change with narrow weights, or nothing."""
    losses = [("bfloat16", certificate.bfloat16), ("int8", certificate.int8)]
    return "; ".join(
        f"{name} weights would change outputs by up to {loss.max_abs_error:.2g}"
        for name, loss in losses
        if loss is not None and loss.max_abs_error is not None
    )


def _tried(label: str, found: Compared) -> Iterator[tuple[str, str]]:
    if found.passed is None:
        yield label, f"{found.n_frames:,} frames, to which the original answers nothing finite: not compared"
        return
    not_finite = f", {found.n_not_finite:,} of them not finite in the original" if found.n_not_finite else ""
    n_outputs = found.n_compared + found.n_not_finite
    yield label, f"{found.n_frames:,} frames, {n_outputs:,} outputs{not_finite}: {_figures(found)}"
    for name, figures in found.heads.items():
        yield "", f"head {name}: {_figures(figures)}"


def _figures(figures: Figures) -> str:
    parts = [("largest error", figures.max_abs_error), ("relative", figures.max_rel_error)]
    said = [f"{name} {value:.2e}" for name, value in parts if value is not None]
    if figures.max_abs_error is None:
        said.append("an error that is no number")
    if figures.max_abs_output is not None:
        said.append(f"largest output {figures.max_abs_output:.4g}")
    return ", ".join(said)


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
