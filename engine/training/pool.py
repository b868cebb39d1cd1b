"""Tiles made beforehand and kept in a file: making a tile costs as much as two steps of a small network on a CPU.

A pool is a folder of three arrays (reflectance in float16, classes, and where data is), mapped into memory. The same
recipe and seed give the same pool, in however many processes it is made.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from engine.bands import MARIDA_ORDER
from engine.practice.scene import SceneOptions, Tile
from engine.training.crops import LabelledCrops
from engine.training.data import PracticeTiles, TileSource
from engine.training.texture import TextureTiles

__all__ = ["Part", "PoolTiles", "holds", "make_pool"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some tiles of one recipe."""

    name: str
    count: int
    size: int
    seed: int
    options: SceneOptions
    textures: str | None = None
    """Folder in MARIDA's layout to paint on; practice water where None."""
    fold: int | None = None
    """The fold of the folder's patches that it draws from, as in `engine.training.texture.fold_of`."""
    scene: str | None = None
    """The scene of the folder's patches that it draws from."""
    labelled: bool = False
    """Whether its tiles are crops around labels of the folder's patches, with nothing painted on."""


@lru_cache(maxsize=8)
def _source(part: Part) -> TileSource:
    if part.textures is None:
        return PracticeTiles(part.count, part.size, part.seed, part.options)
    folder = Path(part.textures)
    if part.labelled:
        return LabelledCrops(folder, part.count, part.size, part.seed, part.scene)
    return TextureTiles(folder, None, part.count, part.size, part.seed, part.options, part.fold, part.scene)


def _make(task: tuple[Part, int]) -> tuple[Any, Any, Any]:
    tile = _source(task[0]).tile(task[1])
    return tile.reflectance.astype(np.float16), tile.classes, tile.observed


def make_pool(folder: Path, parts: Sequence[Part], processes: int, tick: Callable[[float], None]) -> None:
    """Make every tile of every part; `tick` is told the share that is done.

    Args:
        folder: holds reflectance.npy (tiles, 11, size, size), classes.npy, observed.npy and parts.json then; an older
            pool's are replaced.
        parts: all of one size.
        processes: how many make tiles at once.
        tick: called now and then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "parts.json").unlink(missing_ok=True)
    tasks = [(part, index) for part in parts for index in range(part.count)]
    size, total = parts[0].size, len(tasks)
    shapes = {"reflectance": (np.float16, (total, len(MARIDA_ORDER), size, size)),
              "classes": (np.uint8, (total, size, size)), "observed": (np.bool_, (total, size, size))}  # fmt: skip
    arrays = [
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)  # type: ignore[no-untyped-call]
        for name, (dtype, shape) in shapes.items()
    ]
    # Long runs of one part: a process reads that part's patches, which takes longer than some tiles.
    chunk = max(1, total // (4 * processes))
    with multiprocessing.get_context("spawn").Pool(processes) as workers:
        for number, made in enumerate(workers.imap(_make, tasks, chunksize=chunk)):
            for array, values in zip(arrays, made, strict=True):
                array[number] = values
            if number % 100 == 0:
                tick(number / total)
    for array in arrays:
        array.flush()
    # Written last: a folder without it is not complete.
    (folder / "parts.json").write_text(
        json.dumps([{"name": p.name, "count": p.count, "fold": p.fold, "scene": p.scene} for p in parts])
    )


def holds(folder: Path, parts: Sequence[Part], tiles: int = 3) -> bool:
    """Whether a folder holds the pool of these parts, complete.

    The first `tiles` of each part are made and compared: a pool from before the recipe, or what it paints, was changed
    is told.
    """
    if not (folder / "parts.json").is_file():
        return False
    pool = PoolTiles(folder)
    if [(part["name"], part["count"]) for part in pool.parts] != [(part.name, part.count) for part in parts]:
        return False
    first = 0
    for part in parts:
        for number in range(min(tiles, part.count)):
            tile, made = pool.tile(first + number), _make((part, number))
            stored: tuple[npt.NDArray[Any], ...] = tile.reflectance.astype(np.float16), tile.classes, tile.observed
            if not all(np.array_equal(a, b) for a, b in zip(stored, made, strict=True)):
                return False
        first += part.count
    return True


class PoolTiles:
    """The tiles of a pool, by number."""

    def __init__(self, folder: Path) -> None:
        # Copy on write, as torch wants arrays that could be written to: nothing ever is.
        self._arrays = [
            np.load(folder / f"{name}.npy", mmap_mode="c") for name in ("reflectance", "observed", "classes")
        ]
        self.parts: list[dict[str, Any]] = json.loads((folder / "parts.json").read_text())

    def __len__(self) -> int:
        return len(self._arrays[0])

    def numbers(
        self, name: str, without_fold: int | None = None, without_scene: str | None = None
    ) -> npt.NDArray[np.int64]:
        """Numbers of the tiles of parts whose name starts so, less those of a fold or of a scene."""
        ends = np.cumsum([part["count"] for part in self.parts])
        found = [
            np.arange(end - part["count"], end)
            for part, end in zip(self.parts, ends, strict=True)
            if part["name"].startswith(name)
            and (without_fold is None or part["fold"] != without_fold)
            and (without_scene is None or part.get("scene") != without_scene)
        ]
        return np.concatenate(found) if found else np.arange(0)

    def tile(self, index: int) -> Tile:
        """Tile number `index`."""
        reflectance, observed, classes = (array[index] for array in self._arrays)
        return Tile(reflectance.astype(np.float32), np.array(classes), np.array(observed))

    def tensors(self, device: torch.device) -> list[torch.Tensor]:
        """All of its reflectance (float16), observed and classes; mapped into memory on a CPU, copied to a GPU."""
        return [torch.from_numpy(array).to(device) for array in self._arrays]
