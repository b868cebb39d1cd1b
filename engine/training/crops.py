"""Crops around the labels of patches in MARIDA's layout, for tiles to train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.bands import MARIDA_ORDER
from engine.errors import DataError
from engine.marida import patch_names, read_patch, scene_of
from engine.practice.scene import Tile
from engine.training.donors import cut_donors, paste
from engine.training.texture import corner_around, with_weak

__all__ = ["LabelledCrops"]

DEBRIS_SHARE = 0.3
PASTE_SHARE = 0.4


class LabelledCrops:
    """Crops of labelled patches, each around a labelled pixel: rare classes are drawn as often as frequent ones.

    Pixels without label get the classes of `engine.training.texture.with_weak`; onto some crops other labelled matter
    of the same patches is pasted.
    """

    def __init__(self, folder: Path, count: int, size: int, seed: int, scene: str | None = None) -> None:
        """Read the patches of a folder, or of one of its scenes.

        Raises:
            DataError: none of them has a label, or they are smaller than a tile.
        """
        names = [name for name in patch_names(folder) if scene is None or scene_of(name) == scene]
        read = [read_patch(folder, name, MARIDA_ORDER) for name in names]
        self._patches = [p for p in read if p is not None and p.classes.any() and min(p.classes.shape) >= size]
        if not self._patches:
            raise DataError(f"{folder} has no labelled patches of {size} pixels or more of {scene or 'any scene'}.")
        self._count, self._size, self._seed = count, size, seed
        self._classes = [with_weak(patch.classes, patch.reflectance) for patch in self._patches]
        self._with = {
            name: [i for i, patch in enumerate(self._patches) if (patch.classes == name).any()]
            for name in sorted({int(n) for patch in self._patches for n in np.unique(patch.classes) if n})
        }
        others = (1 - DEBRIS_SHARE) / max(len(self._with) - 1, 1)
        shares = np.array([DEBRIS_SHARE if name == 1 else others for name in self._with])
        self._shares = shares / shares.sum()
        self._donors = cut_donors(self._patches)

    def __len__(self) -> int:
        return self._count

    def tile(self, index: int) -> Tile:
        """Tile number `index`: a crop that starts on a whole 20 m cell."""
        rng = np.random.default_rng([self._seed, 91, index])
        name = int(rng.choice(list(self._with), p=self._shares))
        number = int(rng.choice(self._with[name]))
        patch, size = self._patches[number], self._size
        places = np.argwhere(patch.classes == name)
        at = places[rng.integers(len(places))]
        row, col = corner_around(rng, at, patch.classes.shape, size)
        part = (slice(row, row + size), slice(col, col + size))
        reflectance = patch.reflectance[:, part[0], part[1]].copy()
        classes, observed = self._classes[number][part].copy(), patch.observed[part]
        if self._donors and rng.random() < PASTE_SHARE:
            paste(rng, self._donors[rng.integers(len(self._donors))], reflectance, classes)
        return Tile(reflectance, np.where(observed, classes, 0).astype(np.uint8), observed)
