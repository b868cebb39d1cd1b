"""What else a pixel may be: the likeliest class that is not debris, of the rows of a scene that are at work.

Classes cannot be blended as probabilities are: where tiles overlap, a pixel has the class of the tile whose word weighs
most there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.tiling import AxisTiling, Window

__all__ = ["Alternatives"]


class Alternatives:
    """Takes the tiles of one row of tiles after the other, gives rows that are final."""

    def __init__(self, rows: AxisTiling, cols: AxisTiling) -> None:
        self._rows, self._cols = rows, cols
        self._first = 0
        self._classes = np.zeros((rows.tile, cols.length), dtype=np.uint8)
        self._weights = np.zeros((rows.tile, cols.length), dtype=np.float32)

    def add(self, window: Window, classes: npt.NDArray[np.uint8]) -> None:
        """Take one tile's classes, (tile, tile)."""
        if window.row != self._first:
            self._move(window.row - self._first)
        inside = min(self._cols.tile, self._cols.length - window.col)
        weight = np.outer(
            self._rows.weights[self._rows.starts.index(window.row)],
            self._cols.weights[self._cols.starts.index(window.col), :inside],
        )
        place = slice(window.col, window.col + inside)
        better = weight > self._weights[:, place]
        np.copyto(self._classes[:, place], classes[:, :inside], where=better)
        np.copyto(self._weights[:, place], weight, where=better)

    def rows(self, count: int) -> npt.NDArray[np.uint8]:
        """The first rows of the row of tiles at work, (count, columns)."""
        return self._classes[:count]

    def _move(self, down: int) -> None:
        for strip in (self._classes, self._weights):
            kept = max(len(strip) - down, 0)
            strip[:kept] = strip[len(strip) - kept :].copy()
            strip[kept:] = 0
        self._first += down
