"""What is trained on beside a handful of corrections, so that nothing is forgotten: tiles to rehearse on.

How they are learnt from is in `engine.training.handful`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from engine.bands import MARIDA_ORDER
from engine.practice.canvas import Canvas
from engine.practice.scene import SceneOptions, Tile
from engine.tiling import Window
from engine.training.data import KeptTiles, MixedTiles, PracticeTiles, TileSource, practice_split
from engine.training.patches import Patch, PatchTiles
from engine.training.texture import paint_things
from engine.training_jobs import InspectRequest

__all__ = ["ANCHOR", "FEW", "KEPT", "NEAR", "is_handful", "rehearsed", "unlabelled_tiles"]

FEW = 300
"""Pixels labelled as debris below which labels are a handful: too few to choose a threshold by."""
ANCHOR = 254
"""Class number of pixels without label on which the model is to stay as it was, whatever it says there."""
LABELLED, REHEARSED, PAINTED, UNLABELLED, KEPT = 48, 64, 64, 64, 32
"""Tiles of 128 pixels an epoch: with labels (each as often as it takes), of practice scenes, of the labelled images
with practice things painted on, and of the same rasters without labels; and practice tiles to score on. Of larger tiles
there are fewer."""
WATER = 7
NEAR = 4
"""Pixels around labels that are not anchored: what is learnt at a pixel changes its neighbours too."""


class _Labelled:
    """Patches, each as often as it takes, in which places weigh alike."""

    def __init__(self, patches: Sequence[Patch], count: int) -> None:
        self._tiles, self._count = PatchTiles(patches), count

    def __len__(self) -> int:
        return self._count

    def tile(self, index: int) -> Tile:
        """Tile number `index`, the patches over and over."""
        tile = self._tiles.tile(index % len(self._tiles))
        known = tile.classes > 0
        # The ring of water around one wrong pixel has a hundred pixels, and may be of its class.
        places, count = ndimage.label(known, np.ones((3, 3)))
        sizes = np.bincount(places.ravel())
        weight = np.ones(known.shape, dtype=np.float32)
        weight[known] = known.sum() / count / sizes[places[known]]
        return replace(tile, weight=weight if tile.weight is None else weight * tile.weight)


class _Painted:
    """The labelled images themselves with practice things painted on, on which the model is to stay as it was.

    Without them a network learns that there is no debris in real images: that is how these differ from practice scenes.
    """

    def __init__(self, patches: Sequence[Patch], count: int, seed: int) -> None:
        self._patches, self._tiles, self._count, self._seed = list(patches), PatchTiles(patches), count, seed

    def __len__(self) -> int:
        return self._count

    def tile(self, index: int) -> Tile:
        """Tile number `index`: ANCHOR where something was painted, away from labels."""
        place = index % len(self._patches)
        tile = self._tiles.tile(place)
        rng = np.random.default_rng([self._seed, 91, index])
        side = tile.classes.shape[0]
        canvas = Canvas(
            Window(0, 0, side, side), tile.reflectance.copy(), np.full_like(tile.classes, WATER),
            np.zeros(tile.classes.shape, dtype=bool),
        )  # fmt: skip
        seed = self._seed * 1_000_003 + index
        painted = paint_things(canvas, self._patches[place].scene, seed, SceneOptions(varied=False), rng)
        around = ndimage.binary_dilation(painted, iterations=2) & tile.observed
        free = ~ndimage.binary_dilation(tile.classes > 0, iterations=NEAR)
        classes = np.where(around & free, np.uint8(ANCHOR), np.uint8(0))
        reflectance = np.where(tile.observed, canvas.reflectance, np.float32(0))
        return Tile(reflectance, classes, tile.observed)


class _Anchors:
    """Practice tiles without their labels, in some of MARIDA's bands."""

    def __init__(self, source: TileSource, bands: Sequence[str], labelled: bool) -> None:
        self._source, self._labelled = source, labelled
        self._places = [MARIDA_ORDER.index(band) for band in bands]

    def __len__(self) -> int:
        return len(self._source)

    def tile(self, index: int) -> Tile:
        """Tile number `index`."""
        tile = self._source.tile(index)
        classes = tile.classes if self._labelled else np.where(tile.observed, np.uint8(ANCHOR), np.uint8(0))
        return replace(tile, reflectance=tile.reflectance[self._places], classes=classes)


def is_handful(request: InspectRequest, patches: Sequence[Patch], bands: Sequence[str]) -> bool:
    """Whether labels are few, a model is gone on from, and practice scenes have its bands."""
    if not request.start_from or not request.rehearsal:
        return False
    positive = int(PatchTiles(patches).counts[list(request.positive_classes)].sum())
    return positive < FEW and set(bands) <= set(MARIDA_ORDER)


def unlabelled_tiles(request: InspectRequest, patches: Sequence[Patch]) -> int:
    """How many tiles without labels go with these patches."""
    return _tiles(request, patches, UNLABELLED)


def _tiles(request: InspectRequest, patches: Sequence[Patch], count: int) -> int:
    """`count` for tiles of 128 pixels, of larger ones as many as have the same pixels; more with many patches."""
    share = max(len(patches) / LABELLED, (128 / request.tile_size) ** 2)
    return max(8, round(count * share))


def rehearsed(
    request: InspectRequest, patches: Sequence[Patch], unlabelled: Sequence[Patch], bands: Sequence[str]
) -> tuple[TileSource, TileSource]:
    """What to train on, and practice scenes of other kinds, with labels, to score on.

    Args:
        request: what is asked for.
        patches: tiles with labels.
        unlabelled: tiles of the same rasters without any: there the model is to stay as it was.
        bands: of all of them.
    """
    seen, kept = practice_split()
    size = request.tile_size

    def tiles(count: int) -> int:
        return _tiles(request, patches, count)

    def practice(count: int, seed: int, scenes: tuple[str, ...], labelled: bool) -> TileSource:
        made = PracticeTiles(tiles(count), size, seed, SceneOptions(signature_scenes=scenes))
        return KeptTiles(_Anchors(made, bands, labelled))

    parts: list[TileSource] = [_Labelled(patches, max(len(patches), tiles(LABELLED)))]
    parts.append(practice(REHEARSED, request.seed + 21, seen, labelled=False))
    if tuple(bands) == MARIDA_ORDER:
        parts.append(KeptTiles(_Painted(patches, tiles(PAINTED), request.seed)))
    if unlabelled:
        parts.append(PatchTiles(unlabelled))
    return MixedTiles(parts), practice(KEPT, 600_000, kept, labelled=True)
