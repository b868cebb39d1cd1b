"""The likeliest other class where tiles overlap."""

from __future__ import annotations

import numpy as np
import pytest

from engine.alternatives import Alternatives
from engine.tiling import Window, tile_axis


@pytest.mark.parametrize(("height", "width"), [(100, 130), (32, 40), (33, 300)])
def test_each_pixel_has_the_class_of_the_tile_that_weighs_most(height: int, width: int) -> None:
    """Each tile says its own number; the tile whose centre is nearest has the last word, but at ties."""
    rows, cols = tile_axis(height, 32, 8), tile_axis(width, 40, 12)
    others = Alternatives(rows, cols)
    found = np.zeros((height, width), dtype=np.uint8)
    weights = np.zeros((len(rows.starts) * len(cols.starts), height, width))
    ends = (*rows.starts[1:], height)
    for index, (row, end) in enumerate(zip(rows.starts, ends, strict=True)):
        for position, col in enumerate(cols.starts):
            number = index * len(cols.starts) + position
            others.add(Window(row, col, 32, 40), np.full((32, 40), number, dtype=np.uint8))
            weights[number, row : row + 32, col : col + 40] = np.outer(rows.weights[index], cols.weights[position])
        found[row:end] = others.rows(end - row)
    chosen = np.take_along_axis(weights, found[None].astype(int), axis=0)[0]
    np.testing.assert_allclose(chosen, weights.max(axis=0), rtol=1e-6)
