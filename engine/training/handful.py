"""Learning from a handful of corrections: they come to hold, and everywhere else the model stays as it was.

Ten corrected places say where a model was wrong, not what the sea looks like. A network that sees nothing else for a
while forgets the rest. So it is held to what it said before (learning without forgetting: Li and Hoiem 2016, arXiv
1606.09282) wherever no label says otherwise, and goes no further than it takes: until all places come out right.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor, nn

from engine.training.data import TileSource
from engine.training.rehearsal import ANCHOR, NEAR

__all__ = ["HandfulLoss", "allowed_channels", "anchor_loss", "correction_loss", "places_right"]

ANCHOR_SHARE = 2.0
DOUBTFUL = 0.1
"""Probability of debris from which a pixel without label of a corrected image is not anchored: it may be as wrong."""
LINE = 0.5
"""Share of the threshold that parts right from wrong: what was rejected must lie well below it."""


class HandfulLoss:
    """The loss of a network that goes on from what it is now."""

    def __init__(
        self, network: nn.Module, roles: Sequence[str], positive: Sequence[int], floating: Sequence[int], mixed: bool
    ) -> None:
        """Keep a copy of `network`, whose channels have `roles`; `mixed`: whether it runs in bfloat16."""
        self.before = copy.deepcopy(network).eval()
        self.debris = [channel for channel, role in enumerate(roles) if role == "debris"]
        self.allowed = allowed_channels(roles, positive, floating)
        self.mixed = mixed

    def __call__(self, logits: Tensor, x: Tensor, classes: Tensor, observed: Tensor, weight: Tensor | None) -> Tensor:
        """The loss of `logits` (batch, channels, height, width) that the network gives for `x`."""
        with torch.no_grad(), torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.mixed):
            before = torch.log_softmax(self.before(x).float(), dim=1)
        after = torch.log_softmax(logits, dim=1)
        weight = torch.ones_like(after[:, 0]) if weight is None else weight
        corrected = correction_loss(after, classes, self.allowed.to(x.device), weight)
        return corrected + ANCHOR_SHARE * anchor_loss(after, before, classes, observed, self.debris)


def places_right(
    probability: Callable[[npt.NDArray[np.float32], npt.NDArray[np.bool_]], npt.NDArray[np.float32]],
    source: TileSource,
    positive: Sequence[int],
    threshold: float,
) -> tuple[int, int]:
    """How many labelled places come out as they should, and how many there are.

    Args:
        probability: of debris, (height, width), for a tile's reflectance and where it is observed.
        source: tiles with labels.
        positive: class numbers that are debris.
        threshold: the model's own.
    """
    right = total = 0
    for index in range(len(source)):
        tile = source.tile(index)
        found = probability(tile.reflectance, tile.observed)
        wanted = np.isin(tile.classes, positive)
        for part, debris in ((wanted, True), ((tile.classes > 0) & ~wanted, False)):
            places, count = ndimage.label(part, np.ones((3, 3)))
            highest = ndimage.maximum(found, places, range(1, count + 1)) if count else []
            right += sum((value >= LINE * threshold) == debris for value in highest)
            total += count
    return int(right), total


def allowed_channels(roles: Sequence[str], positive: Sequence[int], floating: Sequence[int], others: int = 7) -> Tensor:
    """(256, channels), bool: which channels agree with a label's number; none for numbers that are no labels.

    `others` is what rejected detections are where nobody says what they are: anything but debris.
    """
    table = torch.zeros(256, len(roles), dtype=torch.bool)
    for number in range(1, 17):
        role = "debris" if number in positive else "floating" if number in floating else "clear"
        wanted = ("clear", "floating") if number == others and role == "clear" else (role,)
        # A model without classes of what else floats has it among the clear.
        wanted = wanted if set(wanted) & set(roles) else ("clear",)
        table[number] = torch.tensor([own in wanted for own in roles])
    return table


def correction_loss(log_probability: Tensor, classes: Tensor, allowed: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of -log p over labelled pixels, p the probability of all that agrees with the label.

    What a wrong debris pixel is instead stays for the network to say, which asks for the least change.

    Args:
        log_probability: (batch, channels, height, width).
        classes: (batch, height, width), uint8, class numbers.
        allowed: as `allowed_channels`.
        weight: (batch, height, width).
    """
    agreeing = allowed[classes.long()].movedim(-1, 1)
    labelled = agreeing.any(dim=1)
    # A finite floor: torch's gradient of a sum over nothing is not a number.
    log_p = torch.logsumexp(torch.where(agreeing, log_probability, -50.0), dim=1)
    share = weight * labelled
    return -(log_p * share).sum() / share.sum().clamp(min=1e-6)


def anchor_loss(
    log_probability: Tensor, before: Tensor, classes: Tensor, observed: Tensor, debris: list[int]
) -> Tensor:
    """Divergence of a network's probabilities from what it said before, water and the rest in equal parts.

    Args:
        log_probability: (batch, channels, height, width), the network's.
        before: the same of the model gone on from.
        classes: (batch, height, width), labels, ANCHOR, or 0.
        observed: (batch, height, width), bool.
        debris: channels of debris.
    """
    divergence = (before.exp() * (before - log_probability)).sum(dim=1)
    suspected = before[:, debris].exp().sum(dim=1)
    labelled = ((classes > 0) & (classes < ANCHOR)).float()[:, None]
    near = torch.nn.functional.max_pool2d(labelled, 2 * NEAR + 1, 1, NEAR)[:, 0] > 0
    anchored = (classes == ANCHOR) | (observed & (classes == 0) & ~near & (suspected < DOUBTFUL))
    parts = [anchored & (suspected >= DOUBTFUL), anchored & (suspected < DOUBTFUL)]
    return torch.stack([(divergence * part).sum() / part.sum().clamp(min=1) for part in parts]).sum()
