"""Learning from a handful of corrections: they come to hold, and everywhere else the model stays as it was.

Ten corrected places say where a model was wrong, not what the sea looks like. A network that sees nothing else for a
while forgets the rest. So it is held to what it said before (learning without forgetting: Li and Hoiem 2016, arXiv
1606.09282) wherever no label says otherwise, and goes no further than it takes: until all places come out right.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from engine.ensemble import Network, parts_of, said_by_each
from engine.modelfile import ModelCard
from engine.training.data import TileSource
from engine.training.rehearsal import ANCHOR, NEAR

__all__ = ["HandfulLoss", "allowed_channels", "anchor_loss", "correction_loss", "needed_odds", "places_right"]

ANCHOR_SHARES = 4.0, 4.0, 2.0
"""Weights of the anchor's parts: what looked like debris, the rest, and what of the rest has come to look like it."""
DOUBTFUL = 0.1
"""Probability of debris from which a pixel without label of a corrected image is not anchored: it may be as wrong."""
LINE = 0.5
"""Share of the threshold that parts right from wrong: what was rejected must lie well below it."""
MARGIN = 1.0
"""Log-odds beyond the line that labelled pixels are brought to, since a place looks a little different each time."""
MORE = 0.02
"""Share of a place of water that may turn out to be debris. Where part of a thin line is accepted more of the line is
found, though the ring of water around it calls it water: that is as it should be."""
SPECKS = 2
"""Pixels of such a place that may stay as they were, above the line but below the threshold: no detections."""


class HandfulLoss:
    """The loss of a network that goes on from what it is now."""

    def __init__(
        self, network: Network, card: ModelCard, positive: Sequence[int], floating: Sequence[int], mixed: bool
    ) -> None:
        """Keep a copy of `network`, which has this card; `mixed`: whether it runs in bfloat16."""
        roles = [entry.role for entry in card.classes]
        self.before, self.members = copy.deepcopy(network).eval(), len(parts_of(network))
        self.debris = [channel for channel, role in enumerate(roles) if role == "debris"]
        self.allowed = allowed_channels(roles, positive, floating)
        self.needed = needed_odds(positive, card.threshold)
        self.temperature, self.mixed = card.temperature, mixed

    def __call__(self, logits: Tensor, x: Tensor, classes: Tensor, observed: Tensor, weight: Tensor | None) -> Tensor:
        """The sum of the members' losses, for the `logits` that each gives for `x` (batch, members, channels, h, w)."""
        with torch.no_grad(), torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.mixed):
            before = torch.log_softmax(said_by_each(self.before, self.members, x).float() / self.temperature, dim=2)
        after = torch.log_softmax(logits / self.temperature, dim=2)
        allowed, needed = self.allowed.to(x.device), self.needed.to(x.device)
        weight = torch.ones_like(after[:, 0, 0]) if weight is None else weight
        losses = [
            correction_loss(own, classes, allowed, weight, needed)
            + anchor_loss(own, former, classes, observed, self.debris)
            for own, former in zip(after.unbind(1), before.unbind(1), strict=True)
        ]
        return torch.stack(losses).sum()


Reading = Callable[[npt.NDArray[np.float32], npt.NDArray[np.bool_]], npt.NDArray[np.float32]]
"""Probability of debris, (height, width), for a tile's reflectance and where it is observed."""


def places_right(
    now: Reading, before: Reading, source: TileSource, positive: Sequence[int], threshold: float
) -> tuple[int, int]:
    """How many labelled places come out as they should, and how many there are.

    Args:
        now: what is said today.
        before: what the model said that is gone on from.
        source: tiles with labels.
        positive: class numbers that are debris.
        threshold: the model's own.
    """
    right = total = 0
    for index in range(len(source)):
        tile = source.tile(index)
        said, said_before = (read(tile.reflectance, tile.observed) for read in (now, before))
        wanted = np.isin(tile.classes, positive)
        sizes, found = _by_place(wanted, said >= threshold)
        right, total = right + (found > 0).sum(), total + len(sizes)
        high = said >= LINE * threshold
        was_high, was_found = said_before >= LINE * threshold, said_before >= threshold
        sizes, *counts = _by_place((tile.classes > 0) & ~wanted, high, high & was_high, high & was_found)
        reaching, left, kept = counts
        right += ((reaching <= MORE * sizes) & (left <= SPECKS) & (kept == 0)).sum()
        total += len(sizes)
    return int(right), int(total)


def _by_place(part: npt.NDArray[np.bool_], *flags: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int64]]:
    """Of each group of 8-connected pixels in `part`: how many they are, and on how many each of `flags` holds."""
    numbers, count = ndimage.label(part, np.ones((3, 3)))
    return [np.bincount(numbers[part & flag], minlength=count + 1)[1:] for flag in (part, *flags)]


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


def correction_loss(
    log_probability: Tensor, classes: Tensor, allowed: Tensor, weight: Tensor, needed: Tensor
) -> Tensor:
    """Weighted mean over labelled pixels of what is missing to the log-odds that are needed of all that agrees.

    What a wrong debris pixel is instead stays for the network to say, and nothing is learnt where it suffices: both ask
    for the least change.

    Args:
        log_probability: (batch, channels, height, width).
        classes: (batch, height, width), uint8, class numbers.
        allowed: as `allowed_channels`.
        weight: (batch, height, width).
        needed: (256,), log-odds by class number.
    """
    agreeing = allowed[classes.long()].movedim(-1, 1)
    labelled = agreeing.any(dim=1)
    # A finite floor: torch's gradient of a sum over nothing is not a number.
    has, lacks = (torch.logsumexp(torch.where(part, log_probability, -50.0), dim=1) for part in (agreeing, ~agreeing))
    missing = torch.relu(needed[classes.long()] - (has - lacks))
    share = weight * labelled
    return (missing * share).sum() / share.sum().clamp(min=1e-6)


def needed_odds(positive: Sequence[int], threshold: float) -> Tensor:
    """(256,), log-odds that what agrees with a label needs: debris reaches the threshold, of all else it is far below.

    So a label that names another kind of floating matter asks for more than one that only rejects.
    """
    # Cards allow thresholds of 0 and 1, which no log-odds reach.
    threshold = min(max(threshold, 0.01), 0.99)
    table = torch.full((256,), math.log((1 - LINE * threshold) / (LINE * threshold)))
    table[list(positive)] = math.log(threshold / (1 - threshold))
    return table + MARGIN


def anchor_loss(
    log_probability: Tensor, before: Tensor, classes: Tensor, observed: Tensor, debris: list[int]
) -> Tensor:
    """Divergence of a network's probabilities from what it said before, by parts.

    The mean over what looked like debris; that over the rest; and that over what of the rest has come to look like
    debris, since a few such pixels are lost among the others. Weights are ANCHOR_SHARES.

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
    calm = anchored & (suspected < DOUBTFUL)
    risen = calm & (log_probability[:, debris].detach().exp().sum(dim=1) >= DOUBTFUL)
    parts = [anchored & (suspected >= DOUBTFUL), calm, risen]
    means = [(divergence * part).sum() / part.sum().clamp(min=1) for part in parts]
    return torch.stack([share * mean for share, mean in zip(ANCHOR_SHARES, means, strict=True)]).sum()
