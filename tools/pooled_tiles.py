"""Tiles of one or several pools, drawn in batches on the device that trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from engine.training.data import Batch
from engine.training.pool import PoolTiles

__all__ = ["PooledTiles"]


class PooledTiles:
    """Pools one after the other. On a GPU all their tiles lie in its memory, 0.2 MB each."""

    def __init__(self, folders: Sequence[Path], device: torch.device) -> None:
        """Open `folders`, each made by tools/default_model_data.py."""
        self.pools = [PoolTiles(folder) for folder in folders]
        self.ends = np.cumsum([len(pool) for pool in self.pools])
        self.device = device
        self._tensors = [pool.tensors(device) for pool in self.pools]

    def numbers(
        self, names: Sequence[str], without_fold: int | None = None, without_scene: str | None = None
    ) -> npt.NDArray[np.int64]:
        """Numbers of the tiles of parts whose name starts with one of `names`, as in PoolTiles.numbers."""
        starts = self.ends - [len(pool) for pool in self.pools]
        return np.concatenate([
            start + pool.numbers(name, without_fold, without_scene)
            for start, pool in zip(starts, self.pools, strict=True)
            for name in names
        ])  # fmt: skip

    def batch(self, numbers: npt.NDArray[np.int64]) -> Batch:
        """The tiles of these numbers on the device, in float32; sorted by pool."""
        parts = []
        for tensors, end, pool in zip(self._tensors, self.ends, self.pools, strict=True):
            own = numbers[(numbers < end) & (numbers >= end - len(pool))] - (end - len(pool))
            if len(own):
                index = torch.from_numpy(own).to(self.device)
                parts.append([tensor[index] for tensor in tensors])
        reflectance, observed, classes = (torch.cat(columns) for columns in zip(*parts, strict=True))
        return Batch(reflectance.float(), observed, classes)
