"""Detections from rows of pixels: 8-connected components, found and measured as the rows come in.

A block of rows is labelled by SciPy; components that touch across two blocks are joined. What stays in memory is one
row of labels, a few sums a component, and the outlines of what was found: nothing that grows with the scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.features import shapes
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from engine.linking import EIGHT_NEIGHBOURS

__all__ = ["Component", "ComponentCollector"]


@dataclass(frozen=True)
class Component:
    """One 8-connected group of pixels. Positions are in pixels from the grid's upper left corner, x to the right."""

    geometry: BaseGeometry
    """MultiPolygon along pixel edges, valid; its parts touch at corners where pixels do."""
    pixels: int
    sums: npt.NDArray[np.float64]
    """Sum over the pixels of each measure given to `add`."""
    maxima: npt.NDArray[np.float64]
    """Highest value of each measure."""


class ComponentCollector:
    """Takes blocks of rows from top to bottom, gives the components at the end."""

    def __init__(self, width: int, measures: int) -> None:
        self._above: npt.NDArray[np.int64] = np.zeros(width, dtype=np.int64)
        self._parent: list[int] = [0]
        self._pixels: list[int] = [0]
        self._sums = [np.zeros(measures)]
        self._maxima = [np.full(measures, -np.inf)]
        self._pieces: list[list[BaseGeometry]] = [[]]

    def add(self, row: int, hits: npt.NDArray[np.bool_], measures: npt.NDArray[np.float64]) -> None:
        """Add the rows from `row` on.

        Args:
            row: number of the block's first row.
            hits: pixels that belong to a component, (rows, width).
            measures: numbers to sum up over each component, (measures, hits), in the order of `numpy.nonzero(hits)`.
        """
        labels, count = ndimage.label(hits, structure=EIGHT_NEIGHBOURS, output=np.int32)
        first = len(self._parent)
        if count:
            flat = labels[hits] - 1
            sums = np.stack([np.bincount(flat, weights=m, minlength=count) for m in measures], axis=1)
            maxima = np.full((count, len(measures)), -np.inf)
            for number, measure in enumerate(measures):
                np.fmax.at(maxima[:, number], flat, measure)
            self._parent += range(first, first + count)
            self._pixels += np.bincount(flat, minlength=count).tolist()
            self._sums += list(sums)
            self._maxima += list(maxima)
            self._pieces += self._outlines(row, labels, count)
        top = np.where(hits[0], labels[0].astype(np.int64) + first - 1, 0)
        self._join(top)
        self._above = np.where(hits[-1], labels[-1].astype(np.int64) + first - 1, 0)

    def components(self) -> list[Component]:
        """All components, in the order in which their first pixel came."""
        groups: dict[int, list[int]] = {}
        for number in range(1, len(self._parent)):
            groups.setdefault(self._root(number), []).append(number)
        return [
            Component(
                geometry=_multipolygon([piece for part in parts for piece in self._pieces[part]], len(parts) > 1),
                pixels=sum(self._pixels[part] for part in parts),
                sums=np.sum([self._sums[part] for part in parts], axis=0),
                maxima=np.max([self._maxima[part] for part in parts], axis=0),
            )
            for _, parts in sorted(groups.items())
        ]

    @staticmethod
    def _outlines(row: int, labels: npt.NDArray[np.int32], count: int) -> list[list[BaseGeometry]]:
        # Outlines are drawn 4-connected, so that each is a valid polygon, and gathered by the 8-connected label.
        pieces: list[list[BaseGeometry]] = [[] for _ in range(count)]
        for shape, label in shapes(labels, mask=labels > 0, connectivity=4):
            polygon = shapely.Polygon(shape["coordinates"][0], shape["coordinates"][1:])
            pieces[int(label) - 1].append(shapely.transform(polygon, lambda xy: xy + (0, row)))
        return pieces

    def _join(self, top: npt.NDArray[np.int64]) -> None:
        """Unite the components of the last block's last row with those of a new block's first row."""
        width = len(top)
        for shift in (-1, 0, 1):
            low, high = max(0, shift), width + min(0, shift)
            above, below = self._above[low - shift : high - shift], top[low:high]
            touching = (above > 0) & (below > 0)
            for a, b in np.unique(np.stack([above[touching], below[touching]], axis=1), axis=0).tolist():
                low_root, high_root = sorted((self._root(a), self._root(b)))
                self._parent[high_root] = low_root

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number


def _multipolygon(pieces: list[BaseGeometry], across_blocks: bool) -> BaseGeometry:
    # Only pieces of different blocks can share an edge, which has to go.
    merged = shapely.union_all(pieces) if across_blocks else shapely.multipolygons(pieces)
    merged = merged if merged.is_valid else shapely.make_valid(merged)
    return merged if merged.geom_type == "MultiPolygon" else shapely.multipolygons([merged])
