"""What a probability raster holds at every threshold: areas at once, and outlines of what lies below the run's own.

One pass over the raster keeps how much ground each thousandth of probability covers, and the few pixels that could be
debris at all. After that no threshold needs the raster again. Patches are groups as Detect makes them: of pixels from
the run's extent threshold on, where one of them reaches the threshold.
"""

from dataclasses import dataclass
from typing import Callable, List, Optional, Tuple

import numpy as np
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsGeometry,
    QgsPointXY,
    QgsRectangle,
)

from .areas import row_areas, stored_crs
from .selection import WGS84, has_place

BINS = 1000
LOWEST = 0.02
"""Probabilities below this are not looked at again: the probability's style shows them transparent too."""
MOST_PIXELS = 3_000_000
MOST_CANDIDATES = 3000
ROWS = 512
NEIGHBOURS = ((0, 1), (1, -1), (1, 0), (1, 1))
"""Half of the eight neighbours: the others see the same pairs from the other side."""


@dataclass
class Candidate:
    """A patch that would be a detection at a lower threshold."""

    geometry: QgsGeometry
    area_m2: float
    n_pixels: int
    mean_prob: float
    max_prob: float
    lon: float
    lat: float
    threshold: float
    id: float = float("nan")


class ProbabilityIndex:
    """The index of one probability raster."""

    def __init__(
        self,
        path: str,
        cancelled: Callable[[], bool] = lambda: False,
        crs: Optional[QgsCoordinateReferenceSystem] = None,
    ) -> None:
        """Read the raster once.

        Args:
            path: the raster.
            cancelled: asked now and then.
            crs: of it where a person has set it; None where its file's own holds.

        Raises:
            RuntimeError: it cannot be read.
        """
        dataset = gdal.Open(path)
        if dataset is None:
            raise RuntimeError(f"{path} cannot be opened as a raster.")
        self._transform = dataset.GetGeoTransform()
        self._width, self._height = dataset.RasterXSize, dataset.RasterYSize
        own = crs or stored_crs(dataset)
        self._crs = own if own.isValid() else None
        self.row_area = row_areas(dataset, crs)
        self._lowest = LOWEST
        self._groups: Optional[Tuple[np.float32, _Groups]] = None
        self._read(dataset.GetRasterBand(1), cancelled)

    def _read(self, band, cancelled) -> None:
        area = np.zeros(BINS + 1)
        counts = np.zeros(BINS + 1, dtype=np.int64)
        kept, total = [], 0
        for top in range(0, self._height, ROWS):
            if cancelled():
                break
            block = band.ReadAsArray(0, top, self._width, min(ROWS, self._height - top))
            rows, cols = np.nonzero(block >= self._lowest)
            values = block[rows, cols]
            level = np.minimum((values * BINS).astype(np.int64), BINS)
            counts += np.bincount(level, minlength=BINS + 1)
            if self.row_area is not None:
                area += np.bincount(level, weights=self.row_area[rows + top], minlength=BINS + 1)
            kept.append(np.stack([rows + top, cols]).astype(np.int32))
            kept.append(values)
            total += len(values)
            if total > MOST_PIXELS:
                total = self._keep_higher(kept)
        self._places = np.concatenate(kept[0::2], axis=1) if kept else np.zeros((2, 0), dtype=np.int32)
        self._values = np.concatenate(kept[1::2]) if kept else np.zeros(0, dtype=np.float32)
        self._pixels_from = counts[::-1].cumsum()[::-1]
        self._area_from = None if self.row_area is None else area[::-1].cumsum()[::-1]

    def _keep_higher(self, kept) -> int:
        """Too many pixels are faintly likely: keep the likelier half, in place."""
        places, values = np.concatenate(kept[0::2], axis=1), np.concatenate(kept[1::2])
        self._lowest = max(self._lowest, float(np.median(values)) + 1e-6)
        high = values >= self._lowest
        kept[:] = [places[:, high], values[high]]
        return int(high.sum())

    @property
    def lowest(self) -> float:
        """The lowest threshold that patches can be outlined at."""
        return self._lowest

    def area(self, threshold: float) -> Optional[float]:
        """Ground in m² of the pixels from `threshold` on, to a thousandth of probability; None without a CRS."""
        level = min(max(int(np.ceil(threshold * BINS - 1e-6)), 0), BINS)
        return None if self._area_from is None else float(self._area_from[level])

    def pixels(self, threshold: float) -> int:
        """How many pixels those are."""
        return int(self._pixels_from[min(max(int(np.ceil(threshold * BINS - 1e-6)), 0), BINS)])

    def candidates(self, threshold: float, below: float, extent: Optional[float] = None) -> List[Candidate]:
        """Patches that reach `threshold` and of which no pixel reaches `below`, most probable first.

        Args:
            threshold: what the likeliest pixel of each reaches.
            below: what none reaches.
            extent: from which pixels belong to a patch, with their eight neighbours, the threshold at most; None for
                the threshold.
        """
        groups = self._groups_from(threshold if extent is None else min(extent, threshold))
        wanted = np.flatnonzero((groups.highest >= np.float32(threshold)) & (groups.highest < np.float32(below)))
        wanted = wanted[np.argsort(-groups.highest[wanted], kind="stable")][:MOST_CANDIDATES]
        to_lonlat = self._to_lonlat()
        return [self._candidate(*groups.pixels(number), threshold, to_lonlat) for number in wanted]

    def _groups_from(self, extent: float) -> "_Groups":
        """The groups of pixels from `extent` on; kept, since of most runs they are the same at every threshold."""
        lowest = np.float32(max(extent, self._lowest))
        if self._groups is None or self._groups[0] != lowest:
            chosen = self._values >= lowest
            self._groups = (lowest, _Groups(self._places[:, chosen], self._values[chosen], self._width))
        return self._groups[1]

    def _candidate(self, places, values, threshold, to_lonlat) -> Candidate:
        rows, cols = places
        area = np.nan if self.row_area is None else float(self.row_area[rows].sum())
        lon = lat = np.nan
        if to_lonlat is not None:
            centre = to_lonlat.transform(QgsPointXY(*self._place(cols.mean() + 0.5, rows.mean() + 0.5)))
            lon, lat = centre.x(), centre.y()
        return Candidate(
            geometry=self._outline(rows, cols),
            area_m2=area,
            n_pixels=len(values),
            mean_prob=float(values.mean()),
            max_prob=float(values.max()),
            lon=lon,
            lat=lat,
            threshold=threshold,
        )

    def _outline(self, rows, cols) -> QgsGeometry:
        """The union of the pixels, made of one rectangle for each run of neighbours in a row."""
        order = np.lexsort((cols, rows))
        rows, cols = rows[order], cols[order]
        breaks = np.flatnonzero((np.diff(rows) != 0) | (np.diff(cols) != 1)) + 1
        parts = []
        for begin, end in zip([0, *breaks.tolist()], [*breaks.tolist(), len(rows)]):
            west, north = self._place(cols[begin], rows[begin])
            east, south = self._place(cols[end - 1] + 1, rows[begin] + 1)
            parts.append(QgsGeometry.fromRect(QgsRectangle(west, south, east, north)))
        outline = parts[0] if len(parts) == 1 else QgsGeometry.unaryUnion(parts)
        outline.convertToMultiType()
        return outline

    def _place(self, col, row):
        left, width, _, top, _, height = self._transform
        return left + float(col) * width, top + float(row) * height

    def _to_lonlat(self):
        if self._crs is None or not has_place(self._crs):
            return None
        return QgsCoordinateTransform(self._crs, QgsCoordinateReferenceSystem(WGS84), QgsCoordinateTransformContext())


class _Groups:
    """The 8-connected groups of some pixels, and the highest probability of each."""

    def __init__(self, places: np.ndarray, values: np.ndarray, width: int) -> None:
        """`places` are rows and columns, (2, pixels), `values` their probabilities; of a raster of that width."""
        labels = _components(places, width) if values.size else np.zeros(0, dtype=np.int64)
        order = np.argsort(labels, kind="stable")
        count = int(labels.max()) + 1 if values.size else 0
        self._places, self._values = places[:, order], values[order]
        self._starts = np.searchsorted(labels[order], np.arange(count + 1))
        self.highest = np.zeros(count, dtype=np.float32)
        np.maximum.at(self.highest, labels, values)

    def pixels(self, number: int) -> Tuple[np.ndarray, np.ndarray]:
        """Places and probabilities of one group."""
        own = slice(self._starts[number], self._starts[number + 1])
        return self._places[:, own], self._values[own]


def _components(places: np.ndarray, width: int) -> np.ndarray:
    """Numbers from 0 of the 8-connected groups of pixels, (pixels,), for places (2, pixels) of rows and columns."""
    # One column more than the raster has, so that neither end of a row touches the next one.
    keys = places[0].astype(np.int64) * (width + 1) + places[1]
    order = np.argsort(keys)
    keys = keys[order]
    edges = []
    for down, right in NEIGHBOURS:
        wanted = keys + down * (width + 1) + right
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        edges.append(np.stack([np.flatnonzero(keys[at] == wanted), at[keys[at] == wanted]]))
    one, other = np.concatenate(edges, axis=1)
    labels = np.arange(len(keys))
    while True:
        lowest = labels.copy()
        np.minimum.at(lowest, one, labels[other])
        np.minimum.at(lowest, other, labels[one])
        # Each points to the lowest that it knows of; following pointers to their ends joins long lines in few rounds.
        while not np.array_equal(lowest[lowest], lowest):
            lowest = lowest[lowest]
        np.minimum.at(lowest, labels, lowest.copy())
        lowest = lowest[labels]
        if np.array_equal(lowest, labels):
            break
        labels = lowest
    found = np.empty(len(keys), dtype=np.int64)
    found[order] = np.unique(labels, return_inverse=True)[1]
    return found
