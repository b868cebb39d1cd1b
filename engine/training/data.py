"""Tiles to train on: one interface for every source, and a feeder that makes batches ahead of the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from engine.practice.scene import SceneOptions, Tile, make_tile
from engine.practice.spectra import signature_scenes

__all__ = ["Batch", "KeptTiles", "MixedTiles", "PracticeTiles", "TileSource", "batches", "practice_split"]

AHEAD = 6
"""Batches that are made before they are asked for."""
WORKERS = 2


class TileSource(Protocol):
    """Labelled tiles, all of one size: practice scenes, MARIDA's patches, or rasters with labels."""

    def __len__(self) -> int:
        """How many tiles there are."""
        ...

    def tile(self, index: int) -> Tile:
        """Tile number `index`: always the same. Called from several threads."""
        ...


@dataclass(frozen=True, eq=False)
class Batch:
    """Tiles as tensors on the CPU."""

    reflectance: Tensor
    """(batch, bands, height, width), float32."""
    observed: Tensor
    """(batch, height, width), bool."""
    classes: Tensor
    """(batch, height, width), uint8, MARIDA's numbers, 0 no label."""
    weight: Tensor | None = None
    """(batch, height, width), float32: confidence in each label, 1 where None."""


class PracticeTiles:
    """Practice tiles by number."""

    def __init__(self, count: int, size: int, seed: int, options: SceneOptions) -> None:
        self._count, self._size, self._seed, self._options = count, size, seed, options

    def __len__(self) -> int:
        return self._count

    def tile(self, index: int) -> Tile:
        """Tile number `index`. A scene's seed is far from those of other data sets, which start elsewhere."""
        return make_tile(self._seed * 1_000_003 + index, self._size, self._options)


class KeptTiles:
    """Tiles of another source, kept in memory once they were made: 2 bytes a value, as long as there is room."""

    def __init__(self, source: TileSource, room: int = 4 << 30) -> None:
        """Keep up to `room` bytes; tiles beyond it are made anew each time."""
        self._source, self._room = source, room
        self._kept: dict[int, Tile] = {}

    def __len__(self) -> int:
        return len(self._source)

    def tile(self, index: int) -> Tile:
        """Tile number `index`; float16 is finer than any sensor's noise."""
        kept = self._kept.get(index)
        if kept is None:
            made = self._source.tile(index)
            kept = replace(made, reflectance=made.reflectance.astype(np.float16))
            size = kept.reflectance.nbytes + kept.classes.nbytes + kept.observed.nbytes
            if self._room >= size:
                self._room -= size
                self._kept[index] = kept
        return replace(kept, reflectance=kept.reflectance.astype(np.float32))


class MixedTiles:
    """Several sources one after the other."""

    def __init__(self, sources: Sequence[TileSource]) -> None:
        self._sources = list(sources)
        self._ends = np.cumsum([len(source) for source in sources])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def tile(self, index: int) -> Tile:
        """Tile number `index` of the whole row of sources."""
        number = int(np.searchsorted(self._ends, index, side="right"))
        return self._sources[number].tile(index - int(self._ends[number - 1] if number else 0))


def practice_split() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Signature scenes to train on and to validate on: every fifth is for validation."""
    names = signature_scenes()
    return tuple(n for i, n in enumerate(names) if i % 5 != 2), tuple(names[2::5])


def batches(source: TileSource, order: Sequence[int], size: int) -> Iterator[Batch]:
    """Batches of `size` tiles in `order` (the last may be smaller), made ahead in background threads."""
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="tiles") as pool:
        waiting: deque[list[Future[Tile]]] = deque()
        try:
            for number in range(len(groups)):
                while len(waiting) < AHEAD and number + len(waiting) < len(groups):
                    waiting.append([pool.submit(source.tile, int(i)) for i in groups[number + len(waiting)]])
                yield _stack([future.result() for future in waiting.popleft()])
        finally:
            # Where the training stops early, tiles that nobody will take must not be waited for.
            pool.shutdown(wait=False, cancel_futures=True)


def _stack(tiles: Sequence[Tile]) -> Batch:
    weight = None
    if any(tile.weight is not None for tile in tiles):
        parts = [np.ones(t.classes.shape, dtype=np.float32) if t.weight is None else t.weight for t in tiles]
        weight = torch.from_numpy(np.stack(parts))
    return Batch(
        torch.from_numpy(np.stack([tile.reflectance for tile in tiles])),
        torch.from_numpy(np.stack([tile.observed for tile in tiles])),
        torch.from_numpy(np.stack([tile.classes for tile in tiles])),
        weight,
    )
