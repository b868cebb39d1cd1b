"""What lies around a detection: how far land and cloud are, and whether the water there glints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.features import rasterize
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from engine.ground import Ground
from engine.sentinel2.masks import CLOUD, GLINT_B11, LAND
from engine.sentinel2.quality import CELL, Quality
from engine.tiling import Window

__all__ = ["Surroundings", "Surveyor"]

# As far as this, in pixels, distances are exact; farther off they are told by cells of CELL pixels.
EXACT = 64
LARGEST = 2048
# The glint of a detection is that of the water in this many cells around it on each side.
GLINT_CELLS = 2


@dataclass(frozen=True)
class Surroundings:
    """Around one detection; None where it cannot be told, or there is nothing of the kind in the scene."""

    land_m: float | None
    """From the detection's nearest pixel to the nearest land."""
    cloud_m: float | None
    """The same to cloud or cloud shadow."""
    glint_b11: float | None
    """Median reflectance in B11 of the water around."""

    @property
    def glint(self) -> bool | None:
        """Whether the water around glints, see `engine.sentinel2.masks.GLINT_B11`."""
        return None if self.glint_b11 is None else self.glint_b11 > GLINT_B11


class Surveyor:
    """Looks around detections in a finished quality mask."""

    def __init__(self, quality: Quality, ground: Ground | None, shore: int, collar: int) -> None:
        """Take the mask, and how many pixels it draws land and cloud too wide."""
        self._quality = quality
        self._step = ground.pixel_size_m if ground else None
        self._side = math.sqrt(self._step[0] * self._step[1]) if self._step else math.nan
        # Cells tell distances to within one of their diagonals.
        self._reach = (EXACT + 2 * CELL) * self._side
        self._margins = {LAND: shore, CLOUD: collar}
        self._far = {LAND: self._cells(quality.land), CLOUD: self._cells(quality.cloud)}

    def around(self, outline: BaseGeometry) -> Surroundings:
        """What lies around an outline that is given in pixels along pixel edges."""
        left, top, right, bottom = (round(side) for side in outline.bounds)
        cells = (slice(top // CELL, (bottom - 1) // CELL + 1), slice(left // CELL, (right - 1) // CELL + 1))
        metres = {kind: self._roughly(kind, cells) for kind in (LAND, CLOUD)}
        near = [kind for kind, far in metres.items() if far is not None and far <= self._reach]
        # What is larger is as good as everywhere: its cells tell enough, in little memory.
        if near and max(right - left, bottom - top) <= LARGEST:
            metres.update(self._exactly(near, outline, Window(top, left, bottom - top, right - left)))
        land, cloud = (None if far is None else far + self._margins[kind] * self._side for kind, far in metres.items())
        return Surroundings(land, cloud, self._glint(cells))

    def _roughly(self, kind: int, cells: tuple[slice, slice]) -> float | None:
        far = self._far[kind]
        return None if far is None else float(far[cells].min())

    def _exactly(self, kinds: Sequence[int], outline: BaseGeometry, box: Window) -> dict[int, float]:
        """Distances in m to what lies within EXACT pixels, by kind."""
        wide = Window(box.row - EXACT, box.col - EXACT, box.height + 2 * EXACT, box.width + 2 * EXACT)
        reasons = self._quality.read(wide)
        place = Affine.translation(wide.col, wide.row)
        pixels = rasterize([(outline, 1)], out_shape=reasons.shape, transform=place, dtype="uint8") > 0
        found = {
            kind: float(ndimage.distance_transform_edt(reasons != kind, sampling=self._step)[pixels].min())
            for kind in kinds
            if (reasons == kind).any() and pixels.any()
        }
        # In the window's corners something farther is seen, while something nearer may lie beside the window.
        return {kind: metres for kind, metres in found.items() if metres <= EXACT * self._side}

    def _cells(self, kind: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64] | None:
        """Distance in m of each cell to the nearest that is set; None where there is none, or the ground is unknown."""
        if self._step is None or not kind.any():
            return None
        return np.asarray(ndimage.distance_transform_edt(~kind, sampling=(CELL * self._step[0], CELL * self._step[1])))

    def _glint(self, cells: tuple[slice, slice]) -> float | None:
        rows, cols = (slice(max(part.start - GLINT_CELLS, 0), part.stop + GLINT_CELLS) for part in cells)
        water = self._quality.water_b11[rows, cols]
        return float(np.nanmedian(water)) if np.isfinite(water).any() else None
