"""What lies around a detection: how far land and cloud are, and whether the water there glints."""

from __future__ import annotations

import math
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
        self._margins = {LAND: shore, CLOUD: collar}
        self._far = {LAND: self._cells(quality.land), CLOUD: self._cells(quality.cloud)}

    def around(self, outline: BaseGeometry) -> Surroundings:
        """What lies around an outline that is given in pixels along pixel edges."""
        left, top, right, bottom = (round(side) for side in outline.bounds)
        cells = (slice(top // CELL, (bottom - 1) // CELL + 1), slice(left // CELL, (right - 1) // CELL + 1))
        # What is larger than this is as good as everywhere: its cells tell enough, in little memory.
        margin = EXACT if max(right - left, bottom - top) <= LARGEST else 0
        size = (bottom - top + 2 * margin, right - left + 2 * margin) if margin else (1, 1)
        wide = Window(top - margin, left - margin, *size)
        reasons = self._quality.read(wide)
        place = Affine.translation(wide.col, wide.row)
        pixels = rasterize([(outline, 1)], out_shape=reasons.shape, transform=place, dtype="uint8") > 0
        return Surroundings(
            self._distance(LAND, reasons, pixels, cells),
            self._distance(CLOUD, reasons, pixels, cells),
            self._glint(cells),
        )

    def _cells(self, kind: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64] | None:
        if self._step is None or not kind.any():
            return None
        return np.asarray(ndimage.distance_transform_edt(~kind, sampling=(CELL * self._step[0], CELL * self._step[1])))

    def _distance(
        self, kind: int, reasons: npt.NDArray[np.uint8], pixels: npt.NDArray[np.bool_], cells: tuple[slice, slice]
    ) -> float | None:
        far = self._far[kind]
        if far is None or self._step is None:
            return None
        metres = float(far[cells].min())
        if (reasons == kind).any() and pixels.any():
            exact = float(ndimage.distance_transform_edt(reasons != kind, sampling=self._step)[pixels].min())
            metres = exact if exact <= EXACT * min(self._step) else metres
        return metres + self._margins[kind] * math.sqrt(self._step[0] * self._step[1])

    def _glint(self, cells: tuple[slice, slice]) -> float | None:
        rows, cols = (slice(max(part.start - GLINT_CELLS, 0), part.stop + GLINT_CELLS) for part in cells)
        water = self._quality.water_b11[rows, cols]
        return float(np.nanmedian(water)) if np.isfinite(water).any() else None
