"""Training in several processes, started by `torchrun -m engine train …`: each takes its part of every batch.

The result is that of one process with the whole batch: batch statistics, dropout and the loss are those of all parts
together, and DistributedDataParallel averages the gradients. The loss is computed from all logits in every process, so
its gradient at a process's own logits comes back once from each process, and the average makes it once again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.nn import functional as across

__all__ = ["Processes", "SharedBatchNorm", "SharedDropout", "processes", "share_statistics"]


@dataclass(frozen=True)
class Processes:
    """The processes that train together; one where torchrun was not used."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process validates, writes and reports."""
        return self.rank == 0

    def part(self, total: int) -> slice:
        """This process's part of a batch of `total`, a multiple of `count`."""
        size = total // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def gather(self, x: Tensor) -> Tensor:
        """The parts of all processes as one batch; gradients flow back to each part."""
        if self.count == 1:
            return x
        if x.is_floating_point():
            return torch.cat(list(across.all_gather(x.contiguous())))  # type: ignore[no-untyped-call]
        parts = [torch.empty_like(x) for _ in range(self.count)]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    def agree(self, value: Any) -> Any:
        """What the first process says, in all of them."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network with its gradients averaged over processes."""
        return network if self.count == 1 else nn.parallel.DistributedDataParallel(network)


@contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun started, for the time of a training."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count < 2:
        yield Processes()
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation by the statistics of all processes' parts (torch's own, SyncBatchNorm, knows GPUs only)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x`, (batch, channels, height, width)."""
        if not self.training:
            return super().forward(x)
        wide = x.float()
        pixels = wide.numel() // wide.shape[1] * dist.get_world_size()
        mean = across.all_reduce(wide.sum((0, 2, 3))) / pixels  # type: ignore[no-untyped-call]
        centred = wide - mean[:, None, None]
        variance = across.all_reduce((centred * centred).sum((0, 2, 3))) / pixels  # type: ignore[no-untyped-call]
        with torch.no_grad():
            momentum = self.momentum or 0.0
            if self.running_mean is not None and self.running_var is not None:
                self.running_mean.lerp_(mean, momentum)
                self.running_var.lerp_(variance * (pixels / max(pixels - 1, 1)), momentum)
        normal = centred * torch.rsqrt(variance + self.eps)[:, None, None]
        scaled: Tensor = normal * self.weight[:, None, None] + self.bias[:, None, None]
        return scaled.to(x.dtype)


def share_statistics(network: nn.Module) -> None:
    """Replace every batch normalisation of a network by one over all processes, in place."""
    for name, child in network.named_children():
        if type(child) is nn.BatchNorm2d:
            shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
            shared.load_state_dict(child.state_dict())
            setattr(network, name, shared)
        else:
            share_statistics(child)


class SharedDropout(nn.Module):
    """Dropout of whole channels, drawn for the whole batch from a generator, so that the parts fit together."""

    def __init__(self, p: float, generator: torch.Generator, team: Processes) -> None:
        super().__init__()
        self.p, self._generator, self._team = p, generator, team

    def forward(self, x: Tensor) -> Tensor:
        """Drop channels of `x`, (batch, channels, height, width), while training."""
        if not self.training or self.p == 0:
            return x
        total = x.shape[0] * self._team.count
        drawn = torch.rand(total, x.shape[1], generator=self._generator) >= self.p
        kept = drawn[self._team.part(total)].to(x.device, x.dtype) / (1 - self.p)
        return x * kept[:, :, None, None]
