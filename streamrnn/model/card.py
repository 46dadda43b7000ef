"""The model card: what people need to know of a model, kept inside its file."""

from __future__ import annotations

from typing import Any

import msgspec

Plain = str | int | float | bool | None
Plain2 = Plain | list[Plain] | dict[str, Plain]


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Description and provenance of a model; nothing here changes what it computes.

    Attributes:
        name: short, as served.
        summary: one sentence: what goes in, what comes out.
        input_names, output_names: one name a value, or empty.
        labels: one label an output, for classifiers and token models.
        rate_hz: frames a second that the model was trained for.
        units: physical units by input or output name.
        provenance: data, seed, command, versions, date, figures.
        certificate: the parity certificate as plain values, see `model.certificate`: largest error against the
            framework it came from, on which inputs; and what `bfloat16` and `int8` weights would add to it.
        decoder: settings of the decoder that goes with its outputs, as plain values, see `decode.settings`.
        licence, attribution: of the model file.
    """

    name: str = ""
    summary: str = ""
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    rate_hz: float | None = None
    units: dict[str, str] = {}
    provenance: dict[str, Plain2] = {}
    certificate: dict[str, Any] = {}
    decoder: dict[str, Any] = {}
    licence: str = ""
    attribution: str = ""
