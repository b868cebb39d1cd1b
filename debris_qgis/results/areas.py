"""How much of a scene was observed, and why the rest was not: areas on the ground of each value of a mask."""

from dataclasses import dataclass
from math import nan
from typing import Dict, Optional

import numpy as np
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsDistanceArea,
    QgsGeometry,
    QgsPointXY,
    QgsUnitTypes,
)

CLEAR, DEBRIS, FLOATING, LAND, CLOUD, NO_DATA = 0, 1, 2, 3, 4, 255
OBSERVED = (CLEAR, DEBRIS, FLOATING)
REASONS = {LAND: "land", CLOUD: "cloud or shadow", NO_DATA: "no data"}
"""Why a pixel was not observed, by mask value."""
# As in the engine: a projection that keeps areas to within this share is taken at its word.
TOLERATED_DISTORTION = 0.005
ROWS = 1024
PIXELS_ONLY = (0, 1, 0, 0, 0, 1)
"""The transform, but for signs, of rasters without a place."""
NOTHING_OBSERVED = "Nothing was observed in this scene, so whether there is debris in it is not known."


@dataclass(frozen=True)
class Areas:
    """Pixels and, where the raster has a CRS, square metres by mask value."""

    pixels: Dict[int, int]
    square_metres: Optional[Dict[int, float]]

    def of(self, *values: int) -> Optional[float]:
        """The area in m² of some values together; None where areas are unknown."""
        if self.square_metres is None:
            return None
        return sum(self.square_metres.get(value, 0.0) for value in values)

    def share(self, *values: int) -> float:
        """The share of all pixels that have one of `values`, 0 to 1."""
        total = sum(self.pixels.values())
        return sum(self.pixels.get(value, 0) for value in values) / total if total else 0.0

    @property
    def any_observed(self) -> bool:
        """Whether anything was looked at: else that nothing was found says nothing."""
        return any(self.pixels.get(value) for value in OBSERVED)

    @property
    def observed(self) -> Optional[float]:
        """Observed area in m²."""
        return self.of(*OBSERVED)

    @property
    def not_observed(self) -> Dict[str, Optional[float]]:
        """Area in m² that was not observed, by reason; only the reasons that occur."""
        return {text: self.of(value) for value, text in REASONS.items() if self.pixels.get(value)}


def percent(share: float, digits: int = 0) -> str:
    """A share, 0 to 1, as percent; rounded to all or nothing only where it is that."""
    step = 10.0 ** -(digits + 2)
    within = share if share in (0, 1) else min(max(share, step), 1 - step)
    return f"{within:.{digits}%}"


class MaskError(RuntimeError):
    """A raster is no mask; the message says which and what to do."""


def areas_of(path: str, crs: Optional[QgsCoordinateReferenceSystem] = None) -> Areas:
    """Count a mask, strip by strip.

    Args:
        path: the mask.
        crs: of it where a person has set it; None where its file's own holds.

    Raises:
        MaskError: it is a raster of another kind, such as the probability.
        RuntimeError: the file cannot be opened as a raster.
    """
    dataset = gdal.Open(path)
    if dataset is None:
        raise RuntimeError(f"{path} cannot be opened as a raster.")
    band = dataset.GetRasterBand(1)
    if dataset.RasterCount != 1 or band.DataType != gdal.GDT_Byte:
        raise MaskError(
            f"{path} is no mask of marine debris: it has {dataset.RasterCount} band(s) of "
            f"{gdal.GetDataTypeName(band.DataType)}, a mask has one of Byte. Choose the mask that Detect Marine Debris "
            "wrote."
        )
    row_area = row_areas(dataset, crs)
    pixels: Dict[int, int] = {}
    metres: Dict[int, float] = {}
    for top in range(0, dataset.RasterYSize, ROWS):
        height = min(ROWS, dataset.RasterYSize - top)
        block = band.ReadAsArray(0, top, dataset.RasterXSize, height)
        for value in np.flatnonzero(np.bincount(block.ravel(), minlength=256)).tolist():
            by_row = (block == value).sum(axis=1)
            pixels[value] = pixels.get(value, 0) + int(by_row.sum())
            if row_area is not None:
                metres[value] = metres.get(value, 0.0) + float(by_row @ row_area[top : top + height])
    return Areas(pixels, None if row_area is None else metres)


def row_areas(dataset, crs: Optional[QgsCoordinateReferenceSystem] = None) -> Optional[np.ndarray]:
    """Area in m² of one pixel of each row, float64 (height,); None without a CRS that places it on Earth.

    Args:
        dataset: a raster, open.
        crs: of it where a person has set it; None where its file's own holds.
    """
    # A CRS alone is no place: people set one, or QGIS does by itself, for rasters that have only pixels.
    if tuple(map(abs, dataset.GetGeoTransform())) == PIXELS_ONLY:
        return None
    crs = crs or stored_crs(dataset)
    if not crs.isValid():
        return None
    left, width, _, top, _, height = dataset.GetGeoTransform()
    rows = np.unique(np.linspace(0, dataset.RasterYSize - 1, min(dataset.RasterYSize, 65)).round().astype(int))
    middle = left + (dataset.RasterXSize // 2) * width
    measure = _Measure(crs)
    corners = [(middle, top + row * height, middle + width, top + (row + 1) * height) for row in rows.tolist()]
    geodesic = np.array([measure.area(*corner) for corner in corners])
    if not np.isfinite(geodesic).all() or (geodesic <= 0).any():
        return None
    if not crs.isGeographic():
        unit = QgsUnitTypes.fromUnitToUnitFactor(crs.mapUnits(), QgsUnitTypes.DistanceUnit.DistanceMeters)
        planar = abs(width * height) * unit**2
        if np.abs(geodesic / planar - 1).max() <= TOLERATED_DISTORTION:
            return np.full(dataset.RasterYSize, planar)
    return np.interp(np.arange(dataset.RasterYSize), rows, geodesic)


def stored_crs(dataset) -> QgsCoordinateReferenceSystem:
    """The CRS in a raster's file, not valid where there is none."""
    system = dataset.GetSpatialRef()
    crs = QgsCoordinateReferenceSystem()
    if system is not None:
        crs.createFromWkt(system.ExportToWkt())
    return crs


class _Measure:
    """Areas of small rectangles on the WGS 84 ellipsoid."""

    def __init__(self, crs: QgsCoordinateReferenceSystem) -> None:
        geographic = QgsCoordinateReferenceSystem("EPSG:4326")
        self._to_lonlat = QgsCoordinateTransform(crs, geographic, QgsCoordinateTransformContext())
        self._measure = QgsDistanceArea()
        self._measure.setSourceCrs(geographic, QgsCoordinateTransformContext())
        self._measure.setEllipsoid("EPSG:7030")

    def area(self, west, north, east, south) -> float:
        """Of one, in m²; not a number where it lies beyond what its CRS can place, as in one that was set amiss."""
        corners = [QgsPointXY(x, y) for x, y in ((west, north), (east, north), (east, south), (west, south))]
        try:
            ring = [self._to_lonlat.transform(corner) for corner in corners]
        except QgsCsException:
            return nan
        if any(abs(corner.y()) > 90 for corner in ring):
            return nan
        return abs(self._measure.measureArea(QgsGeometry.fromPolygonXY([[*ring, ring[0]]])))
