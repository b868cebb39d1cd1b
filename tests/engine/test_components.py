"""Components found block by block are those of the whole raster, with valid outlines of the right area."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from engine.components import Component, ComponentCollector


def _collect(hits: np.ndarray, values: np.ndarray, cuts: list[int]) -> list[Component]:
    collector = ComponentCollector(hits.shape[1], 1)
    for start, end in zip([0, *cuts], [*cuts, len(hits)], strict=True):
        collector.add(start, hits[start:end], values[start:end][hits[start:end]][None])
    return collector.components()


@settings(deadline=None, max_examples=60)
@given(arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24))), st.data())
def test_blocks_give_what_the_whole_gives(hits: np.ndarray, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(hits) - 1)))) if len(hits) > 1 else []
    values = np.arange(hits.size, dtype=float).reshape(hits.shape)
    components = _collect(hits, values, cuts)
    labels, count = ndimage.label(hits, structure=np.ones((3, 3)))
    expected = sorted(
        (values[labels == n].sum(), values[labels == n].max(), (labels == n).sum()) for n in range(1, count + 1)
    )
    assert sorted((c.sums[0], c.maxima[0], c.pixels) for c in components) == expected
    for component in components:
        assert component.geometry.is_valid
        assert component.geometry.geom_type == "MultiPolygon"
        assert component.geometry.area == pytest.approx(component.pixels)


def test_pixels_that_touch_at_a_corner_are_one_detection() -> None:
    (component,) = _collect(np.eye(4, dtype=bool), np.ones((4, 4)), [2])
    assert component.pixels == 4
    assert len(component.geometry.geoms) == 4


def test_a_ring_keeps_its_hole() -> None:
    hits = np.ones((5, 5), dtype=bool)
    hits[2, 2] = False
    (component,) = _collect(hits, np.ones((5, 5)), [1, 3])
    assert component.geometry.area == 24
    assert len(component.geometry.geoms[0].interiors) == 1


def test_two_arms_that_meet_below_are_one() -> None:
    hits = np.array([[1, 0, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)
    (component,) = _collect(hits, np.ones((3, 3)), [1, 2])
    assert component.pixels == 7


def test_nothing_found_is_no_component() -> None:
    assert _collect(np.zeros((6, 6), dtype=bool), np.zeros((6, 6)), [3]) == []
