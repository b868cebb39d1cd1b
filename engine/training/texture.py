"""Real images as the ground that practice things are painted on.

Painted water is never quite like water. Here the sea, the ships, clouds and coasts are those of real images in MARIDA's
layout; to their own labels, floating matter, ships and foam of practice scenes are added. A pixel without label is most
likely no debris, but nobody says so: it gets the class WEAK, of which only the probability of debris is held down.
Where land or cloud ends, pixels are mixtures that look like floating matter, but surely are none: they get the class
EDGE.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from engine.bands import MARIDA_ORDER
from engine.errors import DataError
from engine.marida import patch_names, read_patch, scene_of
from engine.practice.canvas import Canvas, blocks
from engine.practice.scene import PracticeScene, SceneOptions, Tile
from engine.practice.spectra import Conditions, signature_scenes
from engine.tiling import Window
from engine.training.donors import BRIGHT, Donor, cut_donors, paste

__all__ = ["EDGE", "FOLDS", "WEAK", "TextureTiles", "corner_around", "fold_of", "paint_things", "with_weak"]

log = logging.getLogger(__name__)

WEAK = 255
"""Class number of pixels of real images that nobody labelled."""
EDGE = 253
"""Class number of pixels without label beside land or cloud, which are neither debris nor other floating matter."""
NEAR = 4
"""Pixels around labelled floating matter that stay without any class."""
ALONG, STANDING_OUT, DEVIATIONS, GROUND = 40, 0.004, 4, 31
"""Farther out, to so many pixels, those that stand out so much in the near infrared (and by so many deviations) from
the median of so wide a window stay without class too: the brightest pixels of a line are labelled, and it goes on."""
LEAST_PIXELS, INWARD, OUTWARD = 200, 5, 6
"""Pixels that land and clouds have connected at least; and the width of their edges, in pixels, on either side."""
FLOATING = (1, 2, 3, 4)
WATER_PERCENTILE = 20
FOLDS = 5
INFRARED = MARIDA_ORDER.index("B8")
PASTE_SHARE, MOST_PASTED = 0.5, 3


def fold_of(number: int) -> int:
    """The fold of the patch of this number in the folder's sorted list: folds can be held out."""
    return number % FOLDS


class TextureTiles:
    """Crops of real patches with practice things painted on them, by number."""

    def __init__(
        self,
        folder: Path,
        split: str | None,
        count: int,
        size: int,
        seed: int,
        options: SceneOptions,
        fold: int | None = None,
        scene: str | None = None,
    ) -> None:
        """Read the patches; `split` as in `engine.marida.patch_names`; of one fold or scene only where it is given.

        Raises:
            DataError: the folder has no patches that hold data, or they are smaller than a tile.
        """
        self._count, self._size, self._seed = count, size, seed
        self._options = replace(options, mosaic_share=0.0)
        self._known: dict[int, npt.NDArray[np.uint8]] = {}
        names = [n for i, n in enumerate(patch_names(folder, split)) if fold is None or fold_of(i) == fold]
        names = [name for name in names if scene is None or scene_of(name) == scene]
        read = [read_patch(folder, name, MARIDA_ORDER) for name in names]
        self._patches = [patch for patch in read if patch is not None and min(patch.classes.shape) >= size]
        if not self._patches:
            raise DataError(
                f"{folder} has no patches of {size} pixels or more that hold data: choose a smaller tile_size."
            )
        log.info("%d real images to paint on from %s.", len(self._patches), folder)

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _shares(self) -> npt.NDArray[np.float64]:
        """How often a patch is drawn: those with labelled debris twice as often."""
        weight = np.array([2.0 if (patch.classes == 1).any() else 1.0 for patch in self._patches])
        return np.asarray(weight / weight.sum())

    @cached_property
    def _donors(self) -> tuple[list[Donor], npt.NDArray[np.float64]]:
        """Groups of real floating matter, and how often each is drawn: debris and the rest as often in all."""
        donors = cut_donors(self._patches)
        debris = np.array([(donor.classes == 1).any() for donor in donors], dtype=bool)
        weight = np.where(debris, 0.6 / max(debris.sum(), 1), 0.4 / max((~debris).sum(), 1))
        return donors, weight / weight.sum() if donors else weight

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the names, labels and reflectance of the patches that are painted on."""
        digest = hashlib.sha256()
        for patch in self._patches:
            digest.update(patch.name.encode())
            digest.update(patch.classes.tobytes())
            digest.update(patch.reflectance.tobytes())
        return digest.hexdigest()

    def _classes(self, number: int) -> npt.NDArray[np.uint8]:
        """`with_weak` of a patch, which takes longer than a tile: each is asked once."""
        if number not in self._known:
            patch = self._patches[number]
            self._known[number] = with_weak(patch.classes, patch.reflectance)
        return self._known[number]

    def tile(self, index: int) -> Tile:
        """Tile number `index`: a crop that starts on a whole 20 m cell."""
        rng = np.random.default_rng([self._seed, 90, index])
        number = int(rng.choice(len(self._patches), p=self._shares))
        patch = self._patches[number]
        height, width = patch.classes.shape
        row, col = (2 * int(rng.integers((side - self._size) // 2 + 1)) for side in (height, width))
        labelled = patch.classes[patch.classes == 1].size
        if labelled and rng.random() < 0.5:
            at = np.argwhere(patch.classes == 1)[rng.integers(labelled)]
            row, col = corner_around(rng, at, patch.classes.shape, self._size)
        part = (slice(row, row + self._size), slice(col, col + self._size))
        observed = patch.observed[part]
        canvas = Canvas(
            Window(0, 0, self._size, self._size),
            patch.reflectance[:, part[0], part[1]].copy(),
            self._classes(number)[part].copy(),
            np.zeros(observed.shape, dtype=bool),
        )
        if rng.random() < 0.7:
            paint_things(canvas, patch.scene, self._seed * 1_000_003 + index, self._options, rng)
        donors, share = self._donors
        if donors and rng.random() < PASTE_SHARE:
            for number in rng.choice(len(donors), int(rng.integers(1, MOST_PASTED + 1)), p=share):
                paste(rng, donors[number], canvas.reflectance, canvas.classes)
        classes = np.where(observed, canvas.classes, 0).astype(np.uint8)
        return Tile(np.where(observed, canvas.reflectance, np.float32(0)), classes, observed)


def corner_around(
    rng: np.random.Generator, at: npt.NDArray[np.int64], shape: tuple[int, ...], size: int
) -> tuple[int, int]:
    """Row and column, on a whole 20 m cell, at which a crop of `size` pixels starts that holds the pixel `at`."""
    row, col = (2 * (int(np.clip(at[axis] - rng.integers(size), 0, shape[axis] - size)) // 2) for axis in (0, 1))
    return row, col


def paint_things(
    canvas: Canvas, scene: str, seed: int, options: SceneOptions, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Paint practice things on a real image, in the light of its own scene where that one's signatures are known.

    Args:
        canvas: the image, square, MARIDA's bands.
        scene: its scene's name.
        seed: of the things.
        options: what is painted.
        rng: chooses the light of images from other scenes.

    Returns:
        (height, width): the pixels that were changed.
    """
    water = _water(canvas.reflectance)
    own = scene.removeprefix("S2_")
    name = own if own in signature_scenes() and rng.random() < 0.6 else str(rng.choice(signature_scenes()))
    things = PracticeScene(seed, canvas.window.height, canvas.window.width, options)
    things.setting = replace(things.setting, conditions=Conditions(name, seed % 1_000_003, water))
    before = canvas.reflectance.copy()
    canvas.closed = before[INFRARED] > BRIGHT
    for thing in things.things(canvas.window):
        canvas.paint(thing)
    changed = (canvas.reflectance != before).any(axis=0)
    blocks(canvas, changed)
    return np.asarray(changed)


def with_weak(
    classes: npt.NDArray[np.uint8], reflectance: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.uint8]:
    """Classes, with WEAK or EDGE for pixels without label that are not near labelled floating matter.

    Args:
        classes: (height, width), 0 not labelled.
        reflectance: (11, height, width), MARIDA's bands. Where given, what stands out farther along a labelled line is
            no WEAK either, and the edges of land and cloud are EDGE.
    """
    floating = np.isin(classes, FLOATING)
    near = ndimage.binary_dilation(floating, iterations=NEAR) if floating.any() else floating
    if reflectance is not None and floating.any():
        near |= _standing_out(reflectance[INFRARED], floating)
    result = np.where((classes == 0) & ~near, WEAK, classes).astype(np.uint8)
    if reflectance is not None:
        result[(result == WEAK) & _edges(reflectance[INFRARED], floating)] = EDGE
    return result


def _standing_out(infrared: npt.NDArray[np.float32], floating: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pixels brighter than the water around, no farther than ALONG from labelled floating matter."""
    above = infrared - ndimage.median_filter(infrared, GROUND)
    deviation = 1.4826 * float(np.median(np.abs(above)))
    along = ndimage.distance_transform_edt(~floating) <= ALONG
    return np.asarray(along & (above > max(STANDING_OUT, DEVIATIONS * deviation)))


def _edges(infrared: npt.NDArray[np.float32], floating: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Where land or cloud, told by brightness and size, borders on something else. A labelled mat is neither."""
    groups, count = ndimage.label(infrared > BRIGHT, np.ones((3, 3)))
    large = np.bincount(groups.ravel(), minlength=count + 1) >= LEAST_PIXELS
    large[0] = False
    large[np.unique(groups[floating])] = False
    bright = large[groups]
    if not bright.any():
        return np.asarray(bright)
    return np.asarray(
        ndimage.binary_dilation(bright, iterations=OUTWARD)
        & ~ndimage.binary_erosion(bright, iterations=INWARD, border_value=1)
    )


def _water(reflectance: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Reflectance (11,) of the darker water of an image."""
    infrared = reflectance[INFRARED]
    dark = infrared <= np.percentile(infrared, WATER_PERCENTILE)
    return np.asarray(np.median(reflectance[:, dark], axis=1), dtype=np.float32)
