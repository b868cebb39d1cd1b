"""The learning rate by step, and an average of weights."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import nn

__all__ = ["WeightAverage", "rate_factor"]

Network = TypeVar("Network", bound=nn.Module)


def rate_factor(epoch: float, warmup: float, epochs: float) -> float:
    """Share of the full learning rate at `epoch`, also within one: linear warm-up, then cosine to 0."""
    if epoch < warmup:
        return epoch / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (epoch - warmup) / max(epochs - warmup, 1e-9))))


class WeightAverage(Generic[Network]):
    """Exponential moving average of a network's weights and of its batch statistics."""

    def __init__(self, network: Network, decay: float = 0.998) -> None:
        self.network: Network = copy.deepcopy(network).eval()
        self._decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move a little towards `network`; faster in the first steps, whose start is of no worth."""
        self.steps += 1
        decay = min(self._decay, self.steps / (self.steps + 10))
        mine, other = self.network.state_dict().values(), network.state_dict().values()
        pairs = [(a, b) for a, b in zip(mine, other, strict=True) if a.is_floating_point()]
        torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], 1 - decay)
        for a, b in zip(mine, other, strict=True):
            if not a.is_floating_point():
                a.copy_(b)
