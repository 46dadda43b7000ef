"""Export: from a trained net to a model file that says where it came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import streamrnn
from streamrnn.decode import Settings, plain_of
from training.checkpoint import Checkpoint
from training.data import DataSet


@dataclass(frozen=True)
class Description:
    """What a model's card says beside its provenance; see `streamrnn.Card`."""

    name: str
    summary: str
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    units: Mapping[str, str]
    labels: tuple[str, ...] = ()
    rate_hz: float | None = None
    decoder: Settings | None = None
    licence: str = "Apache-2.0"


def card_of(
    description: Description,
    data: DataSet | tuple[DataSet, ...],
    checkpoint: Checkpoint,
    extra: Mapping[str, Any] | None = None,
    decoder: Settings | None = None,
) -> streamrnn.Card:
    """Write the card: the description, and in its provenance everything needed to make the model again.

    Args:
        description: what goes in and out.
        data: what it was trained on.
        checkpoint: the trained net, for seed, command and figures.
        extra: more provenance: plain values, or one level of dict or list of them.
        decoder: settings of the decoder, where they are not in the description because validation chose them.
    """
    settings = decoder or description.decoder
    sets = (data,) if isinstance(data, DataSet) else data
    return streamrnn.Card(
        name=description.name,
        summary=description.summary,
        input_names=description.input_names,
        output_names=description.output_names,
        labels=description.labels,
        rate_hz=description.rate_hz,
        units=dict(description.units),
        provenance={
            "data": ", ".join(one.name for one in sets),
            "source": "; ".join(one.source for one in sets),
            "data_licence": "; ".join(one.licence for one in sets),
            "seed": checkpoint.seed,
            "command": checkpoint.command,
            "torch": str(torch.__version__),
            "date": datetime.now(UTC).date().isoformat(),
            "figures": dict(checkpoint.figures),
            **(extra or {}),
        },
        decoder={} if settings is None else plain_of(settings),
        licence=description.licence,
        attribution=f"trained on: {'; '.join(one.attribution for one in sets)}",
    )


def export(net: nn.Module, card: streamrnn.Card, path: Path, example: Tensor | None = None) -> streamrnn.Model:
    """Import `net` into streamrnn, which proves the two equal, and write the model file at `path`.

    Args:
        net: trained.
        card: what the file says of it.
        path: of the file; its folder is made.
        example: real frames (1, n_frames, n_inputs), on which the two are compared, too; needed where the net takes no
            random ones, such as for a logarithm of its input.

    Raises:
        UnsupportedError: a layer cannot be streamed, or the two disagree.
    """
    model = streamrnn.from_torch(net.eval(), card=card, example=example)
    save(model, path)
    return model


def save(model: streamrnn.Model, path: Path) -> None:
    """Write the model file at `path`, making its folder, and say how close it is to what it came from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    error = model.card.certificate.get("max_abs_error")
    print(f"wrote {path.name}: {path.stat().st_size:,} bytes, largest error against PyTorch {error}")
