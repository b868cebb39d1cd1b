"""What a network scores on tiles that it was not trained on, and the threshold and temperature that follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from engine.losses import IGNORE
from engine.metrics import ScoreHistogram
from engine.modelfile import ModelClass
from engine.prediction import normalise
from engine.training.data import TileSource, batches
from engine.training.grouping import MARIDA_PIXELS, lookup, pixel_weights

__all__ = ["Reading", "Validation", "count_classes", "fit_temperature", "validate"]

LOGIT_SAMPLE = 400
"""Labelled pixels a tile that are kept to fit the temperature on."""


@dataclass(frozen=True, eq=False)
class Validation:
    """Scores with practice pixels weighted as MARIDA's labels are frequent."""

    debris: ScoreHistogram
    floating: ScoreHistogram
    flagged: dict[int, float]
    """Share of a class's pixels that is flagged at the best threshold, by MARIDA's number."""
    logits: Tensor
    """(pixels, classes): of a sample."""
    target: Tensor
    """(pixels,)"""
    weight: Tensor
    """(pixels,)"""
    loss: float = 0.0
    """Mean of the training loss over the batches, where one was given."""
    by_class: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((17, 1)))
    """(17, bins): pixels by MARIDA's number and by probability of debris, each counted once."""


@dataclass(frozen=True, eq=False)
class Reading:
    """How labels are read in a validation."""

    positive: tuple[int, ...] = (1,)
    floating: tuple[int, ...] = (1, 2, 3, 4, 9)
    practice: bool = True
    """Whether pixels count as often as MARIDA's labels are frequent; else each counts once."""
    table: npt.NDArray[np.int64] | None = None
    """Number to channel, (256,); as the classes say where None."""
    loss: Callable[[Tensor, Tensor, Tensor | None], Tensor] | None = None
    mixed: bool = True
    """Whether the network runs in bfloat16."""


def count_classes(source: TileSource, batch_size: int) -> npt.NDArray[np.int64]:
    """Labelled pixels of each of the 256 numbers that a class raster may hold; 0 stands for none and counts 0."""
    counts = np.zeros(256, dtype=np.int64)
    for batch in batches(source, range(len(source)), batch_size):
        counts += np.bincount(batch.classes.numpy().ravel(), minlength=256)
    counts[0] = 0
    return counts


@torch.inference_mode()
def validate(
    predict: torch.nn.Module,
    source: TileSource,
    classes: tuple[ModelClass, ...],
    counts: npt.NDArray[np.int64],
    normalisation: tuple[Tensor, Tensor],
    batch_size: int,
    tick: Callable[[float], None] | None = None,
    temperature: float = 1.0,
    reading: Reading | None = None,
) -> Validation:
    """Score a network in evaluation mode on every tile of `source`."""
    reading = reading or Reading()
    device = normalisation[0].device
    table = lookup(classes) if reading.table is None else reading.table
    weights = pixel_weights(counts) if reading.practice else np.ones(17, dtype=np.float32)
    roles = {role: [i for i, entry in enumerate(classes) if entry.role == role] for role in ("debris", "floating")}
    debris, floating = ScoreHistogram(), ScoreHistogram()
    bins = np.zeros((17, debris.bins))
    losses = []
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    rng = np.random.default_rng(0)
    for number, batch in enumerate(batches(source, range(len(source)), batch_size)):
        if tick is not None:
            tick(number * batch_size / len(source))
        x = normalise(batch.reflectance.to(device), batch.observed.to(device), *normalisation)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=reading.mixed and device.type != "mps"):
            logits = predict(x.contiguous(memory_format=torch.channels_last)).float()
        if reading.loss is not None:
            target = torch.from_numpy(table[batch.classes.numpy()]).to(device)
            losses.append(
                float(reading.loss(logits, target, None if batch.weight is None else batch.weight.to(device)))
            )
        logits = logits.cpu()
        probability = torch.softmax(logits / temperature, dim=1)
        numbers = batch.classes.numpy()
        use = (numbers > 0) & (numbers <= max(MARIDA_PIXELS)) & (table[numbers] != IGNORE)
        truth, frequency = numbers[use], weights[numbers[use]]
        p_debris = probability[:, roles["debris"]].sum(1).numpy()[use]
        p_floating = probability[:, roles["debris"] + roles["floating"]].sum(1).numpy()[use]
        debris.add(p_debris, np.isin(truth, reading.positive), frequency)
        floating.add(p_floating, np.isin(truth, reading.floating), frequency)
        np.add.at(bins, (truth, np.minimum((p_debris * debris.bins).astype(int), debris.bins - 1)), 1)
        kept.append(
            _sample(logits, torch.from_numpy(table[numbers]), torch.from_numpy(weights[np.minimum(numbers, 16)]), rng)
        )
    best = debris.best().threshold
    first = round(best * debris.bins)
    flagged = {n: float(bins[n, first:].sum() / bins[n].sum()) for n in MARIDA_PIXELS if bins[n].sum()}
    logits, target, weight = (torch.cat(parts) for parts in zip(*kept, strict=True))
    loss = float(np.mean(losses)) if losses else 0.0
    return Validation(debris, floating, flagged, logits, target, weight, loss, bins)


def _sample(logits: Tensor, target: Tensor, weight: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Some labelled pixels of a batch."""
    place = torch.nonzero((target != IGNORE).flatten())[:, 0]
    if len(place):
        place = place[torch.from_numpy(rng.integers(0, len(place), LOGIT_SAMPLE * len(logits)))]
    return logits.movedim(1, -1).flatten(0, -2)[place], target.flatten()[place], weight.flatten()[place]


def fit_temperature(logits: Tensor, target: Tensor, weight: Tensor) -> float:
    """The temperature of least weighted cross-entropy (Guo et al. 2017, arXiv 1706.04599), from 0.5 to 8.

    Few labels that a network knows by heart would ask for less and less, until all probabilities are 0 or 1.
    """
    grid = torch.logspace(np.log10(0.5), np.log10(8), 49, dtype=torch.float64)
    losses = [float((F.cross_entropy(logits / t, target, reduction="none") * weight).sum()) for t in grid.float()]
    return round(float(grid[int(np.argmin(losses))]), 4)
