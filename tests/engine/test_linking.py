"""Two thresholds: who asks for surer groups than the model does gets fewer of them, and not smaller ones."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from detect_runner import Detector
from toy_model import toy_card, toy_network

from engine import modelfile
from engine.bands import MARIDA_ORDER
from engine.evaluation import marked
from engine.linking import linked
from engine.modelfile import ModelClass

B8 = MARIDA_ORDER.index("B8")


def b8_of(probability: float) -> float:
    """Reflectance in B8 of which the toy model says that probability."""
    return 0.1 + math.log(probability / (1 - probability)) / 200


def test_pixels_have_what_their_group_reaches():
    image = np.array([[0.6, 0.1, 0.9], [0.1, 0.7, np.nan], [0.1, 0.1, 0.2], [0.5, 0.5, 0.1]], dtype=np.float32)
    found = linked(image, 0.5)
    expected = np.array([[0.9, 0.1, 0.9], [0.1, 0.9, np.nan], [0.1, 0.1, 0.2], [0.5, 0.5, 0.1]], dtype=np.float32)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(linked(image, 0.95), image)


def test_groups_that_are_sure_keep_their_rim_and_others_go(detector: Detector, make_raster, water):
    array = water(40, 40)
    array[B8, 10, 10:14] = [b8_of(0.6), b8_of(0.95), b8_of(0.6), b8_of(0.45)]
    array[B8, 30, 10:12] = b8_of(0.8)
    own = detector(make_raster(array))
    assert (own.detection_count, own.debris_pixels, own.extent_threshold) == (2, 5, 0.5)
    surer = detector(make_raster(array), threshold=0.9)
    assert (surer.detection_count, surer.debris_pixels) == (1, 3)
    assert (surer.threshold, surer.extent_threshold) == (0.9, 0.5)
    mask = detector.raster("mask")
    assert mask[10, 10:14].tolist() == [1, 1, 1, 0]
    assert mask.sum() == 3
    assert surer.debris_area_m2 == detector.table()["area_m2"].sum() == 300
    assert surer.observed_pixels == own.observed_pixels
    with rasterio.open(detector.folder / "mask.tif") as out:
        assert float(out.tags()["EXTENT_THRESHOLD"]) == 0.5


def test_the_extent_is_the_callers_where_given(detector: Detector, make_raster, water):
    array = water(40, 40)
    array[B8, 10, 10:14] = [b8_of(0.6), b8_of(0.95), b8_of(0.6), b8_of(0.45)]
    assert detector(make_raster(array), threshold=0.9, extent_threshold=0.4).debris_pixels == 4
    assert detector(make_raster(array), threshold=0.9, extent_threshold=0.9).debris_pixels == 1
    assert detector(make_raster(array), threshold=0.4).extent_threshold == 0.4
    assert detector(make_raster(array), threshold=0.4, extent_threshold=0.8).extent_threshold == 0.4


def test_a_group_is_one_across_tiles(detector: Detector, make_raster, water):
    """It goes through all rows of a scene of three rows of tiles, and is plain only at its lower end."""
    array = water(1200, 24)
    array[B8, 20:1180, 8] = b8_of(0.6)
    array[B8, 20:1180, 16] = b8_of(0.6)
    array[B8, 1170, 8] = b8_of(0.99)
    result = detector(make_raster(array), threshold=0.9)
    mask = detector.raster("mask")
    assert (result.detection_count, result.debris_pixels) == (1, 1160)
    assert mask[20:1180, 8].all()
    assert not mask[:, 16].any()


def test_what_is_left_out_is_what_it_is_else(detector: Detector, make_raster, water, tmp_path: Path):
    """A model that takes all water for other floating matter: what is no debris, or too small, is that again."""
    model = tmp_path / "floating.safetensors"
    classes = (ModelClass(name="Weed", role="floating", marida=(2,)), toy_card().classes[1])
    modelfile.save(model, toy_network(), dataclasses.replace(toy_card(), classes=classes))
    array = water(30, 30)
    array[B8, 10, 10:13] = b8_of(0.95)
    array[B8, 20, 20] = b8_of(0.6)
    array[B8, 25, 5] = b8_of(0.95)
    result = detector(make_raster(array), model=str(model), threshold=0.9, min_pixels=2)
    mask = detector.raster("mask")
    assert set(np.unique(mask)) == {1, 2}
    assert (mask[20, 20], mask[25, 5], mask[10, 11]) == (2, 2, 1)
    assert (result.debris_pixels, result.floating_pixels) == (3, 30 * 30 - 3)
    assert result.debris_area_m2 == 300


def test_evaluation_marks_what_detect_marks():
    probability = np.zeros((2, 3, 5), dtype=np.float32)
    probability[0, 1] = [0.6, 0.95, 0.4, 0.0, 0.8]
    assert marked(probability, 0.9, 2.0, 0.5)[1].tolist() == [True, True, False, False, False]
    assert marked(probability, 0.9, 2.0)[1].tolist() == [False, True, False, False, False]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_the_extent_of_a_card_is_its_threshold_at_most(threshold: float):
    assert toy_card().extent_at(threshold) == min(0.5, threshold)
