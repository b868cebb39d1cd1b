"""Tiles that overlap and blend: scores of a scene of any size, from a network that sees one tile at a time.

Along each axis, neighbouring tiles fade into each other by raised-cosine weights that sum to one at every pixel. The
weights of the two axes multiply, so they sum to one in the plane too, and only one strip of scores is ever in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["AxisTiling", "Window", "blend", "tile_axis"]

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Window:
    """A part of a grid, in pixels from its upper left corner. May reach beyond the grid to the right and below."""

    row: int
    col: int
    height: int
    width: int

    def wider(self, margin: int) -> Window:
        """With so many pixels more on every side."""
        return Window(self.row - margin, self.col - margin, self.height + 2 * margin, self.width + 2 * margin)


@dataclass(frozen=True, eq=False)
class AxisTiling:
    """Where the tiles along one axis start, and the weight of each of their pixels."""

    length: int
    tile: int
    starts: tuple[int, ...]
    weights: Array
    """Shape (tiles, tile), float32; zero beyond the axis; sums to one over the tiles at every pixel."""


def tile_axis(length: int, tile: int, overlap: int) -> AxisTiling:
    """Cover `length` pixels with tiles of `tile` pixels, of which neighbours share at least `overlap`.

    Tiles are spread evenly, so that none hangs over the end. An axis no longer than a tile has one tile, and the pixels
    beyond the axis weigh nothing.

    Raises:
        ValueError: overlap is negative or more than half a tile, or a length is not positive.
    """
    if length < 1 or tile < 1 or not 0 <= overlap <= tile // 2:
        raise ValueError(f"cannot cover {length} pixels with tiles of {tile} that share {overlap}")
    count = max(1, -(-(length - overlap) // (tile - overlap)))
    starts = tuple(round(index * max(length - tile, 0) / max(count - 1, 1)) for index in range(count))
    position = np.arange(tile, dtype=np.float64) + 0.5
    from_edge = np.minimum(position, tile - position)
    # Shared by at least `overlap` pixels: fade over those, so that the outermost pixels, which know least, weigh least.
    fade = np.sin(0.5 * np.pi * np.clip(from_edge / max(overlap, 1), 0, 1)) ** 2
    raw = np.where(overlap > 0, fade, 1.0)
    total = np.zeros(max(length, tile))
    for start in starts:
        total[start : start + tile] += raw
    total[length:] = np.inf
    weights = np.stack([raw / total[start : start + tile] for start in starts]).astype(np.float32)
    return AxisTiling(length, tile, starts, weights)


def blend(
    rows: AxisTiling,
    cols: AxisTiling,
    channels: int,
    predict: Callable[[Sequence[Window]], Iterable[Array]],
) -> Iterator[tuple[int, Array]]:
    """Predict every tile and yield the blended scores from top to bottom, as soon as rows are final.

    Args:
        rows: tiling of the rows.
        cols: tiling of the columns.
        channels: how many scores a pixel has.
        predict: takes one row of tiles and returns their scores in order, each float32 of (channels, tile, tile).
            NaN marks pixels that are not observed, and stays NaN.

    Yields:
        The first row, and a fresh float32 array of shape (channels, rows, columns) from that row on.
    """
    strip = np.zeros((channels, rows.tile, cols.length), dtype=np.float32)
    ends = (*rows.starts[1:], rows.length)
    for start, end, row_weights in zip(rows.starts, ends, rows.weights, strict=True):
        windows = [Window(start, col, rows.tile, cols.tile) for col in cols.starts]
        for col, col_weights, scores in zip(cols.starts, cols.weights, predict(windows), strict=True):
            inside = min(cols.tile, cols.length - col)
            weight = row_weights[:, None] * col_weights[None, :inside]
            strip[:, :, col : col + inside] += scores[:, :, :inside] * weight
        done = end - start
        yield start, strip[:, :done].copy()
        strip[:, : rows.tile - done] = strip[:, done:].copy()
        strip[:, rows.tile - done :] = 0
