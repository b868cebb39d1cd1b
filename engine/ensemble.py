"""Several networks in one: their mean probability, and how they are put together.

Trainings that differ in their seed alone make different mistakes, so their mean makes fewer than any of them (deep
ensembles: Lakshminarayanan et al. 2017, arXiv 1612.01474). To everybody else an ensemble is one network: it gives
logits, can be trained on, and lies in one model file. Where a training goes on each member learns by itself: a loss of
their mean would ask most of whichever is nearly right, and leave the others wrong (Jeffares et al. 2023, arXiv
2301.11323).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from engine.modelfile import ModelCard
from engine.network import NetworkConfig, SEUNet

__all__ = ["Ensemble", "Network", "build", "join", "parts_of", "said_by_each"]


class Ensemble(nn.Module):
    """The mean of the probabilities of `config.members` networks, as logits: its logarithm."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        single = dataclasses.replace(config, members=1)
        self.members = nn.ModuleList(SEUNet(single) for _ in range(config.members))
        # Each member has seen other tiles first and normalises by what it saw there: its input is gain x + offset.
        self.gain: Tensor
        self.offset: Tensor
        self.register_buffer("gain", torch.ones(config.members, config.bands))
        self.register_buffer("offset", torch.zeros(config.members, config.bands))

    def forward(self, x: Tensor, apart: bool = False) -> Tensor:
        """Logits of shape (batch, classes, height, width), float32, for `x` of shape (batch, bands, height, width).

        With `apart` what each member says for itself, (batch, members, classes, height, width).

        Raises:
            ValueError: height or width is no multiple of 16.
        """
        # A pixel without data is 0 in every band, for each member; one with data is not, but by a miracle.
        seen = (x != 0).any(dim=1, keepdim=True)
        said = []
        for member, gain, offset in zip(self.members, self.gain, self.offset, strict=True):
            own = torch.where(seen, torch.addcmul(offset[:, None, None], x, gain[:, None, None]), 0.0)
            logits = member(own.contiguous(memory_format=torch.channels_last)).float()
            said.append(logits if apart else torch.log_softmax(logits, dim=1))
        return torch.stack(said, dim=1) if apart else reduce(torch.logaddexp, said) - math.log(len(said))


Network = SEUNet | Ensemble
"""What a model file holds."""


def build(config: NetworkConfig) -> Network:
    """A new network of this configuration."""
    return SEUNet(config) if config.members == 1 else Ensemble(config)


def parts_of(network: Network) -> list[SEUNet]:
    """The networks of an ensemble; the network itself where it is none."""
    return list(network.members) if isinstance(network, Ensemble) else [network]  # type: ignore[arg-type]


def said_by_each(network: nn.Module, members: int, x: Tensor) -> Tensor:
    """Logits of each network for itself, (batch, members, classes, height, width); `network` may be wrapped."""
    logits: Tensor = network(x)[:, None] if members == 1 else network(x, apart=True)
    return logits


@torch.no_grad()
def join(models: Sequence[tuple[SEUNet, ModelCard]]) -> Ensemble:
    """An ensemble of networks, normalised as the first one's card says, each with its own temperature.

    Raises:
        ValueError: they differ in their sizes, bands or classes.
    """
    (first, card), *_ = models
    for network, other in models:
        if (network.config, other.bands, other.classes) != (first.config, card.bands, card.classes):
            raise ValueError(f"{other.name} and {card.name} differ in their network, bands or classes.")
    result = Ensemble(dataclasses.replace(first.config, members=len(models)))
    mean, std = torch.tensor(card.mean), torch.tensor(card.std)
    for number, (network, other) in enumerate(models):
        member = parts_of(result)[number]
        member.load_state_dict(network.state_dict())
        # Logits are linear in the last layers' weights, so they take the temperature.
        for layer in (member.head[-1], member.shortcut):
            for weights in () if layer is None else layer.parameters():
                weights.div_(other.temperature)
        result.gain[number] = std / torch.tensor(other.std)
        result.offset[number] = (mean - torch.tensor(other.mean)) / torch.tensor(other.std)
    return result.eval()
