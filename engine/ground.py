"""How much ground a pixel covers, and where it is: areas and positions on the ellipsoid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Geod, Transformer

from engine.grid import Grid

__all__ = ["Ground"]

# A projection that keeps areas to within this share everywhere on the grid is taken at its word: UTM's pixels stay
# 100 m² (its scale errs by up to 0.1 %), Web Mercator's and degrees do not.
TOLERATED_DISTORTION = 0.005


@dataclass(frozen=True, eq=False)
class Ground:
    """The ground under a grid that has a CRS."""

    row_area_m2: npt.NDArray[np.float64]
    """Area of one pixel in m², one number a row (height,), measured in the middle column."""
    _grid: Grid
    _to_lonlat: Transformer

    @classmethod
    def of(cls, grid: Grid) -> Ground | None:
        """The ground of a grid, or None where the grid has no CRS or no place on Earth."""
        if grid.crs is None or not grid.placed:
            return None
        crs = CRS.from_wkt(grid.crs.to_wkt())
        if not (crs.is_geographic or crs.is_projected or crs.is_bound or crs.is_compound):
            return None
        to_lonlat = Transformer.from_crs(crs, CRS.from_epsg(4326), always_xy=True)
        rows = np.unique(np.linspace(0, grid.height - 1, min(grid.height, 65)).round().astype(int))
        geodesic = np.array([_pixel_area(grid, to_lonlat, row) for row in rows])
        if not np.isfinite(geodesic).all() or (geodesic <= 0).any():
            return None
        area = np.interp(np.arange(grid.height), rows, geodesic)
        if crs.is_projected:
            unit = crs.axis_info[0].unit_conversion_factor
            planar = abs(grid.transform.a * grid.transform.e) * unit**2
            if np.abs(geodesic / planar - 1).max() <= TOLERATED_DISTORTION:
                area = np.full(grid.height, planar)
        return cls(area, grid, to_lonlat)

    @property
    def pixel_size_m(self) -> tuple[float, float]:
        """Height and width in m of the pixel in the middle of the grid, on the ellipsoid."""
        row, col = self._grid.height / 2, self._grid.width / 2
        lon, lat = self.lonlat(np.array([col, col, col + 1]), np.array([row, row + 1, row]))
        _, _, lengths = Geod(ellps="WGS84").inv([lon[0]] * 2, [lat[0]] * 2, lon[1:], lat[1:])
        return float(lengths[0]), float(lengths[1])

    def lonlat(self, col: npt.NDArray[np.float64], row: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], ...]:
        """Longitudes and latitudes (WGS 84, degrees) of positions in pixels from the grid's upper left corner."""
        places = [self._grid.transform @ place for place in zip(col.tolist(), row.tolist(), strict=True)]
        lonlat = [self._to_lonlat.transform(x, y) for x, y in places]
        return np.array([lon for lon, _ in lonlat]), np.array([lat for _, lat in lonlat])


def _pixel_area(grid: Grid, to_lonlat: Transformer, row: int) -> float:
    """Area in m² of the pixel in the middle of `row`, as a polygon on the WGS 84 ellipsoid (Karney 2013)."""
    col = grid.width // 2
    cols = (col, col + 1, col + 1, col)
    rows = (row, row, row + 1, row + 1)
    corners = [grid.transform @ corner for corner in zip(cols, rows, strict=True)]
    lonlat = np.array([to_lonlat.transform(x, y) for x, y in corners])
    return abs(Geod(ellps="WGS84").polygon_area_perimeter(lonlat[:, 0], lonlat[:, 1])[0])
