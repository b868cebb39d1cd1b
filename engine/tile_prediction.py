"""A scene's tiles: how large they are, how far they overlap, and what a network says of them, read ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from engine.prediction import CHANNELS, Predictor
from engine.tiling import Window

__all__ = ["TILE", "Tile", "overlap_of", "predicted", "tile_size"]

TILE = 512
Tile = tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]
"""Reflectance (bands, height, width) and where to look (height, width)."""
# Tiles a batch: one keeps a CPU busy and cancel quick; a GPU wants more.
BATCH = {"cpu": 1, "cuda": 8, "mps": 4}


def tile_size(height: int, width: int) -> tuple[int, int]:
    """Tiles of 512 pixels, smaller along an axis that is shorter."""
    return min(TILE, height), min(TILE, width)


def overlap_of(asked: int | None, radius: int, tile: tuple[int, int]) -> tuple[int, int]:
    """Pixels that neighbours share: as asked, else the network's receptive radius; half a tile at the most."""
    wanted = radius if asked is None else asked
    return min(wanted, tile[0] // 2), min(wanted, tile[1] // 2)


def predicted(
    read: Callable[[Window], Tile], predictor: Predictor, windows: Sequence[Window], reader: ThreadPoolExecutor
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]]:
    """What `Predictor.predict` says of each window in turn; the next batch is read while one is predicted."""
    size = BATCH[predictor.device.type]
    batches = [windows[start : start + size] for start in range(0, len(windows), size)]
    coming = reader.submit(lambda: [read(window) for window in batches[0]])
    for number, batch in enumerate(batches):
        tiles = coming.result()
        if number + 1 < len(batches):
            following = batches[number + 1]
            coming = reader.submit(lambda windows=following: [read(window) for window in windows])  # type: ignore[misc]
        seen = [index for index, (_, observed) in enumerate(tiles) if observed.any()]
        shape = (batch[0].height, batch[0].width)
        scores = np.full((len(batch), len(CHANNELS), *shape), np.nan, dtype=np.float32)
        others = np.zeros((len(batch), *shape), dtype=np.uint8)
        if seen:
            scores[seen], others[seen] = predictor.predict(
                np.stack([tiles[index][0] for index in seen]), np.stack([tiles[index][1] for index in seen])
            )
        yield from zip(scores, others, strict=True)
