"""Where the pixels of a raster are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import rasterio
from affine import Affine
from rasterio.crs import CRS

from engine.errors import RasterError
from engine.tiling import Window

__all__ = ["UNPLACED", "Grid", "transform_of"]

UNPLACED = Affine(1, 0, 0, 0, -1, 0)
"""Of rasters without a place: rows go down from 0, as QGIS draws them."""


@dataclass(frozen=True)
class Grid:
    """Where pixels are: size, affine transform (pixel corner to CRS coordinates) and CRS, None where unknown."""

    width: int
    height: int
    transform: Affine
    crs: CRS | None

    @property
    def placed(self) -> bool:
        """Whether the transform is one; a CRS alone is no place: people set one, or QGIS does, for mere pixels."""
        scale = self.transform @ Affine.translation(-self.transform.c, self.transform.f)
        whole = self.transform.c.is_integer() and self.transform.f.is_integer()
        return not (whole and 0 <= self.transform.c < 1e6 and -1e6 < self.transform.f <= 0 and scale == UNPLACED)

    def part(self, window: Window) -> Grid:
        """The grid of a window."""
        return Grid(window.width, window.height, self.transform @ Affine.translation(window.col, window.row), self.crs)

    def window(self, extent: Sequence[float]) -> Window:
        """The whole pixels that an extent (west, south, east, north, in the CRS) touches, within the grid.

        Raises:
            RasterError: the extent lies beside the grid, or one of its sides is no number.
        """
        west, south, east, north = extent
        if not all(map(math.isfinite, extent)):
            raise RasterError(f"The extent {west:g},{south:g},{east:g},{north:g} is no place: give four numbers.")
        corners = [~self.transform @ (x, y) for x in (west, east) for y in (south, north)]
        # A millionth of a pixel of tolerance: an extent that follows pixel edges must not gain a row by rounding.
        left, top = (math.floor(min(corner[axis] for corner in corners) + 1e-6) for axis in (0, 1))
        right, bottom = (math.ceil(max(corner[axis] for corner in corners) - 1e-6) for axis in (0, 1))
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, self.width), min(bottom, self.height)
        if right <= left or bottom <= top:
            raise RasterError(
                f"The extent {west:g},{south:g},{east:g},{north:g} does not touch the raster: "
                "choose one that does, in the raster's own CRS."
            )
        return Window(top, left, bottom - top, right - left)


def transform_of(dataset: rasterio.DatasetReader) -> Affine:
    """The dataset's transform; `UNPLACED` where it has none."""
    return UNPLACED if dataset.transform.is_identity else dataset.transform
