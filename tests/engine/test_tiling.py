"""Tiling: every pixel is covered, weights sum to one, and a model that changes nothing gives the scene back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.tiling import Window, blend, tile_axis

LENGTHS = st.integers(1, 400)
TILES = st.integers(1, 96)


@st.composite
def axes(draw: st.DrawFn) -> tuple[int, int, int]:
    tile = draw(TILES)
    return draw(LENGTHS), tile, draw(st.integers(0, tile // 2))


@given(axes())
def test_weights_sum_to_one_at_every_pixel(axis: tuple[int, int, int]) -> None:
    length, tile, _ = axis
    tiling = tile_axis(*axis)
    total = np.zeros(max(length, tile))
    for start, weights in zip(tiling.starts, tiling.weights, strict=True):
        total[start : start + tile] += weights
    np.testing.assert_allclose(total[:length], 1, atol=1e-6)
    assert (total[length:] == 0).all()


@given(axes())
def test_neighbours_share_at_least_the_overlap_and_none_hangs_over(axis: tuple[int, int, int]) -> None:
    length, tile, overlap = axis
    starts = tile_axis(*axis).starts
    assert starts[0] == 0
    assert starts[-1] + tile == length or len(starts) == 1
    assert all(0 < after - before <= tile - overlap for before, after in zip(starts, starts[1:], strict=False))


@given(axes())
def test_no_more_tiles_than_needed(axis: tuple[int, int, int]) -> None:
    length, tile, overlap = axis
    count = len(tile_axis(*axis).starts)
    assert count == 1 or tile + (count - 2) * (tile - overlap) < length


def _scene(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).random((2, height, width), dtype=np.float32)


def _blended(scene: np.ndarray, tile: int, overlap: int) -> tuple[np.ndarray, list[int]]:
    """The scene, put through tiles by a model that returns its input; beyond the scene the model says 99."""
    _, height, width = scene.shape

    def predict(windows: Sequence[Window]) -> Iterator[np.ndarray]:
        for w in windows:
            tile_scores = np.full((2, w.height, w.width), 99, dtype=np.float32)
            part = scene[:, w.row : w.row + w.height, w.col : w.col + w.width]
            tile_scores[:, : part.shape[1], : part.shape[2]] = part
            yield tile_scores

    blocks = list(blend(tile_axis(height, tile, overlap), tile_axis(width, tile, overlap), 2, predict))
    return np.concatenate([block for _, block in blocks], axis=1), [row for row, _ in blocks]


@settings(deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(1, 48), st.data())
def test_an_identity_model_gives_its_input_back(height: int, width: int, tile: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tile // 2))
    scene = _scene(height, width)
    result, rows = _blended(scene, tile, overlap)
    np.testing.assert_allclose(result, scene, rtol=1e-5)
    assert rows == sorted(set(rows))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (300, 1), (7, 9), (64, 64), (65, 64), (511, 130)])
def test_sizes_at_the_edges(height: int, width: int) -> None:
    scene = _scene(height, width)
    np.testing.assert_allclose(_blended(scene, 64, 20)[0], scene, rtol=1e-5)


def test_not_observed_stays_so_and_does_not_spread() -> None:
    scene = _scene(100, 100)
    scene[:, 40:60, 30:35] = np.nan
    np.testing.assert_allclose(_blended(scene, 32, 10)[0], scene, rtol=1e-5)


def test_a_tiles_edge_counts_less_than_its_middle() -> None:
    first = tile_axis(100, 64, 20).weights[0]
    assert first[-1] < 0.05 < 0.95 < first[30]


@pytest.mark.parametrize(("length", "tile", "overlap"), [(0, 8, 0), (8, 0, 0), (8, 8, 5), (8, 8, -1)])
def test_impossible_tilings_are_refused(length: int, tile: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="cannot cover"):
        tile_axis(length, tile, overlap)
