"""Random fields that know no border: the same number at the same place, whichever window is asked for.

A field is white noise on a lattice, drawn block by block from a key, and interpolated by cubic B-splines; a sum of such
fields of several pitches gives water texture, clouds and coastlines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.tiling import Window

__all__ = ["Field", "white"]

Array = npt.NDArray[np.float32]
NODES = 32
# Mean over positions of the sum of squared cubic B-spline weights: 151/315. Its inverse keeps the variance at one.
SPLINE_VARIANCE = 151 / 315


def _lattice(key: Sequence[int], row: int, col: int, height: int, width: int) -> Array:
    """Standard normal nodes (height, width) from node (row, col) on; negative places are fine."""
    result = np.empty((height, width), dtype=np.float32)
    for block_row in range(row // NODES, (row + height - 1) // NODES + 1):
        for block_col in range(col // NODES, (col + width - 1) // NODES + 1):
            # SeedSequence takes no negative numbers; scenes of millions of blocks to either side stay apart.
            rng = np.random.default_rng([*key, block_row + 2**20, block_col + 2**20])
            nodes = rng.standard_normal((NODES, NODES), dtype=np.float32)
            top, left = block_row * NODES - row, block_col * NODES - col
            rows = slice(max(top, 0), min(top + NODES, height))
            cols = slice(max(left, 0), min(left + NODES, width))
            result[rows, cols] = nodes[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]
    return result


def _spline(start: int, length: int, pitch: float) -> tuple[int, Array]:
    """The first node that is needed, and weights (length, nodes) of a cubic B-spline."""
    position = (start + np.arange(length)) / pitch
    node = np.floor(position).astype(int)
    t = position - node
    first = int(node[0]) - 1
    weights = np.zeros((length, int(node[-1]) - first + 3), dtype=np.float32)
    index = np.arange(length)
    parts = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    for step, part in enumerate(parts):
        weights[index, node - 1 - first + step] = part / 6
    return first, weights


@dataclass(frozen=True)
class Field:
    """A sum of noise of several pitches (pixels), of mean 0 and variance 1 over a large area."""

    key: tuple[int, ...]
    pitches: tuple[float, ...]
    strengths: tuple[float, ...]

    @classmethod
    def fractal(cls, key: Sequence[int], coarse: float, fine: float, persistence: float = 0.55) -> Field:
        """Pitches halve from `coarse` to `fine`; each is `persistence` times as strong as the one before."""
        count = max(1, round(np.log2(coarse / fine)) + 1)
        return cls(
            tuple(key),
            tuple(coarse / 2**step for step in range(count)),
            tuple(persistence**step for step in range(count)),
        )

    def at(self, window: Window) -> Array:
        """The field in a window, float32 (height, width)."""
        total = np.zeros((window.height, window.width), dtype=np.float32)
        norm = float(np.sqrt(np.sum(np.square(self.strengths)))) * SPLINE_VARIANCE
        for step, (pitch, strength) in enumerate(zip(self.pitches, self.strengths, strict=True)):
            first_row, rows = _spline(window.row, window.height, pitch)
            first_col, cols = _spline(window.col, window.width, pitch)
            nodes = _lattice((*self.key, step), first_row, first_col, rows.shape[1], cols.shape[1])
            total += (strength / norm) * (rows @ nodes @ cols.T)
        return total


def white(key: Sequence[int], window: Window, pitch: int = 1) -> Array:
    """White noise in blocks of `pitch` pixels of the scene's own grid: (height, width)."""
    top, left = window.row // pitch, window.col // pitch
    bottom, right = (window.row + window.height - 1) // pitch, (window.col + window.width - 1) // pitch
    nodes = _lattice(tuple(key), top, left, bottom - top + 1, right - left + 1)
    if pitch == 1:
        return nodes
    rows = (window.row + np.arange(window.height)) // pitch - top
    cols = (window.col + np.arange(window.width)) // pitch - left
    return np.asarray(nodes[rows[:, None], cols[None, :]])
