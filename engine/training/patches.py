"""Labelled patches of one's own to train on: read once, cut to tiles, kept in memory, told apart by scene."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import DataError
from engine.practice.job import CLASS_NAMES
from engine.practice.scene import Tile

__all__ = ["Patch", "PatchTiles", "cut", "describe", "fingerprint", "split_by_scene"]

CONFIDENCE_WEIGHT = np.array([1.0, 1.0, 2 / 3, 1 / 3], dtype=np.float32)
"""By MARIDA's confidence: 0 not known, 1 high, 2 moderate, 3 low."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A tile with labels, and where it is from."""

    scene: str
    name: str
    tile: Tile
    """Its reflectance in float16, which is finer than any sensor's noise."""
    counts: npt.NDArray[np.int64] = field(init=False)
    """Labelled pixels by number, (256,); 0 is not labelled and counts 0."""

    def __post_init__(self) -> None:
        counts = np.bincount(self.tile.classes.ravel(), minlength=256)
        counts[0] = 0
        object.__setattr__(self, "counts", counts)


class PatchTiles:
    """Patches as a source of tiles."""

    def __init__(self, patches: Sequence[Patch]) -> None:
        self.patches = list(patches)

    def __len__(self) -> int:
        return len(self.patches)

    def tile(self, index: int) -> Tile:
        """Tile number `index`, in float32."""
        kept = self.patches[index].tile
        return Tile(kept.reflectance.astype(np.float32), kept.classes, kept.observed, kept.weight)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Labelled pixels by number, (256,)."""
        return _total(self.patches)


def _total(patches: Sequence[Patch]) -> npt.NDArray[np.int64]:
    total = np.zeros(256, dtype=np.int64)
    for patch in patches:
        total += patch.counts
    return total


def cut(
    scene: str, name: str, size: int, reflectance: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_],
    classes: npt.NDArray[np.uint8], confidence: npt.NDArray[np.uint8] | None = None,
) -> list[Patch]:  # fmt: skip
    """Tiles of `size` pixels that hold every label of an image; what reaches beyond it is no data, and has no class.

    Args:
        scene: what the split keeps together.
        name: of the image.
        size: pixels a side.
        reflectance: (bands, height, width), float32.
        observed: (height, width).
        classes: (height, width), 0 not labelled.
        confidence: (height, width), as MARIDA's.
    """
    classes = np.where(observed, classes, 0).astype(np.uint8)
    weight = None if confidence is None else CONFIDENCE_WEIGHT[np.minimum(confidence, 3)]
    patches = []
    for row in range(0, classes.shape[0], size):
        for col in range(0, classes.shape[1], size):
            part = (..., slice(row, row + size), slice(col, col + size))
            if not classes[part].any():
                continue
            height, width = classes[part].shape
            edge = [(0, size - height), (0, size - width)]
            tile = Tile(
                np.pad(reflectance[part], [(0, 0), *edge]).astype(np.float16),
                np.pad(classes[part], edge),
                np.pad(observed[part], edge),
                None if weight is None else np.pad(weight[part], edge),
            )
            patches.append(Patch(scene, f"{name}+{row}+{col}", tile))
    return patches


def split_by_scene(
    patches: Sequence[Patch], positive: Sequence[int], share: float, seed: int
) -> tuple[list[Patch], list[Patch]]:
    """Patches to train on and to validate on; no scene is on both sides.

    Of many random choices of scenes the one is taken whose share of positive pixels is nearest to `share`.

    Raises:
        DataError: fewer than two scenes hold positive pixels.
    """
    scenes = sorted({patch.scene for patch in patches})
    pixels = {scene: np.zeros(2) for scene in scenes}
    for patch in patches:
        pixels[patch.scene] += (patch.counts[list(positive)].sum(), patch.counts.sum())
    total = np.sum(list(pixels.values()), axis=0)
    if sum(bool(pixels[scene][0]) for scene in scenes) < 2:
        raise DataError(
            f"Pixels of the classes {', '.join(map(str, positive))} lie in fewer than two scenes, so none can be kept "
            "for validation: add a scene, name the patches in lists, or choose other positive classes."
        )
    rng = np.random.default_rng([seed, 11])
    best: tuple[float, frozenset[str]] | None = None
    for _ in range(400):
        kept = frozenset(s for s in scenes if rng.random() < share)
        got = np.sum([np.zeros(2), *(pixels[scene] for scene in kept)], axis=0)
        if got[0] == 0 or got[0] == total[0]:
            continue
        miss = abs(got[0] / total[0] - share) + 0.3 * abs(got[1] / total[1] - share)
        if best is None or miss < best[0]:
            best = (miss, kept)
    if best is None:
        first = next(scene for scene in scenes if pixels[scene][0])
        best = (0.0, frozenset([first]))
    return [p for p in patches if p.scene not in best[1]], [p for p in patches if p.scene in best[1]]


def describe(patches: Sequence[Patch]) -> dict[str, Any]:
    """Patches, scenes and labelled pixels by class name, for people."""
    counts = _total(patches)
    names = dict(enumerate(CLASS_NAMES))
    return {
        "patches": len(patches),
        "scenes": sorted({patch.scene for patch in patches}),
        "classes": {names.get(n, f"class {n}"): int(count) for n, count in enumerate(counts) if count},
    }


def fingerprint(parts: Sequence[Sequence[Patch]]) -> str:
    """SHA-256 over the names, labels and reflectance of the patches of each part."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"part")
        for patch in part:
            digest.update(patch.name.encode())
            digest.update(patch.tile.classes.tobytes())
            digest.update(patch.tile.reflectance.tobytes())
    return digest.hexdigest()
