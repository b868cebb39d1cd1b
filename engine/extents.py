"""Extents as people name them, in any CRS, brought onto a raster."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from engine.errors import RasterError
from engine.grid import Grid

__all__ = ["extent_on"]

Extent = tuple[float, float, float, float]
# By how much of its size the raster is widened before an extent is cut to it: bounds in another CRS are not exact.
WIDER = 0.1


def extent_on(grid: Grid, extent: Sequence[float], crs: str) -> Extent:
    """What of an extent (west, south, east, north, in `crs`) can touch a grid, in the grid's CRS.

    It is cut to what lies around the grid first: the corners of a large one, such as the whole Earth, have no place in
    many CRSs.

    Raises:
        RasterError: the grid has no CRS, the extent's cannot be understood, or it lies beside the grid.
    """
    if grid.crs is None:
        raise RasterError("The raster has no CRS, so an extent in another cannot be laid on it: assign one.")
    west, south, east, north = extent
    try:
        source = CRS.from_user_input(crs)
        if source == grid.crs:
            return west, south, east, north
        around = _bounds(_widened(grid), grid.crs, source)
        part = _common((west, south, east, north), around, 360 if source.is_geographic else 0)
        moved = _bounds(part, source, grid.crs) if part else None
    except (ValueError, RasterioError) as error:
        raise RasterError(f"The extent cannot be brought into the raster's CRS: {error}") from error
    if moved is None:
        raise RasterError(
            f"The extent {west:g},{south:g},{east:g},{north:g} ({crs}) does not touch the raster, which lies within "
            f"{','.join(f'{side:g}' for side in around)} there: choose one that does."
        )
    return moved


def _widened(grid: Grid) -> Extent:
    left, top = grid.transform @ (-WIDER * grid.width, -WIDER * grid.height)
    right, bottom = grid.transform @ ((1 + WIDER) * grid.width, (1 + WIDER) * grid.height)
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


def _bounds(extent: Extent, source: CRS, target: CRS) -> Extent:
    west, south, east, north = (float(side) for side in transform_bounds(source, target, *extent))
    if not all(map(math.isfinite, (west, south, east, north))):
        raise ValueError("it reaches to where that CRS has no place for it")
    return west, south, east, north


def _common(one: Extent, other: Extent, turn: float) -> Extent | None:
    """What two extents share, of all their turns around the Earth; None where they share nothing.

    A smaller eastern than western side means that the meridian of 180 degrees lies between, as in GeoJSON.
    """
    sides = []
    for west, _, east, _ in (one, other):
        sides.append((west, east + turn if east < west else east))
    (west, east), (left, right) = sides
    south, north = max(one[1], other[1]), min(one[3], other[3])
    shared = [(max(west + shift, left), min(east + shift, right)) for shift in sorted({-turn, 0.0, turn})]
    shared = [(low, high) for low, high in shared if low < high]
    if not shared or south >= north:
        return None
    return min(low for low, _ in shared), south, max(high for _, high in shared), north
