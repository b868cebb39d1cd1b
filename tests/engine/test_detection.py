"""Detect, end to end with the toy model, whose answer is known pixel by pixel: debris where B8 is above 0.1."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine
from detect_runner import Detector

from engine.bands import MARIDA_ORDER
from engine.errors import (
    RasterError,
    RequestError,
)
from engine.jobs import DetectRequest

B8 = MARIDA_ORDER.index("B8")
Water = Callable[[int, int], np.ndarray]


def test_mask_probability_and_detections_agree(detector: Detector, make_raster, scene: np.ndarray) -> None:
    result = detector(make_raster(scene))
    expected = scene[B8] > 0.1
    np.testing.assert_array_equal(detector.raster("mask"), expected.astype(np.uint8))
    probability = 1 / (1 + np.exp(-200 * (scene[B8] - 0.1)))
    np.testing.assert_allclose(detector.raster("probability"), probability, atol=1e-5)
    table = detector.table()
    assert result.detection_count == len(table["id"]) == 3
    assert sorted(table["n_pixels"]) == [1, 2, 5]
    assert table["area_m2"].sum() == result.debris_area_m2 == 800
    assert sum(shape.area for shape in table["geometry"]) == pytest.approx(800)
    assert result.observed_area_m2 == 40 * 60 * 100
    assert result.not_observed_area_m2 == 0


def test_grid_and_provenance_of_the_outputs(detector: Detector, make_raster, scene: np.ndarray) -> None:
    path = make_raster(scene)
    result = detector(path, plugin_version="9.9")
    with rasterio.open(path) as source:
        for name in ("mask", "probability"):
            with rasterio.open(detector.folder / f"{name}.tif") as out:
                assert (out.crs, out.transform, out.shape) == (source.crs, source.transform, source.shape)
                assert out.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
                assert out.tags()["MODEL_SHA256"] == result.model_sha256
                assert out.tags()["PLUGIN_VERSION"] == "9.9"
                assert float(out.tags()["THRESHOLD"]) == 0.5
    with rasterio.open(detector.folder / "mask.tif") as out:
        assert (out.dtypes[0], out.nodata) == ("uint8", 255)


def test_results_of_a_practice_scene_say_so(detector: Detector, make_raster, scene: np.ndarray) -> None:
    path = make_raster(scene)
    with rasterio.open(path, "r+") as source:
        source.update_tags(practice_seed="7")
    detector(path)
    for name in ("mask", "probability"):
        with rasterio.open(detector.folder / f"{name}.tif") as out:
            assert out.tags()["PRACTICE_SEED"] == "7"


def test_fields_of_a_detection(detector: Detector, make_raster, scene: np.ndarray) -> None:
    detector(make_raster(scene))
    table = detector.table()
    line = list(table["n_pixels"]).index(5)
    assert table["max_prob"][line] == pytest.approx(1.0, abs=1e-4)
    assert table["ndvi"][line] == pytest.approx((0.2 - 0.02) / (0.2 + 0.02), abs=1e-5)
    assert table["fdi"][line] == pytest.approx(0.18, abs=1e-5)
    assert table["scene"][line] == "scene"
    assert table["model"][line] == "toy"
    assert table["threshold"][line] == 0.5
    # Centroid of pixels 10-14 in row 10, worked out by PROJ.
    lon, lat = rasterio.warp.transform("EPSG:32630", "EPSG:4326", [500000 + 125], [600000 - 105])
    assert (table["lon"][line], table["lat"][line]) == pytest.approx((lon[0], lat[0]), abs=1e-9)


def test_no_data_nan_and_zeros_are_not_observed(detector: Detector, make_raster, scene: np.ndarray) -> None:
    scene[:, :, :5] = 0
    scene[3, 0:4, 20:30] = np.nan
    scene[5, 35, 40:50] = -9999
    result = detector(make_raster(scene, nodata=-9999))
    unseen = np.zeros((40, 60), dtype=bool)
    unseen[:, :5] = unseen[0:4, 20:30] = unseen[35, 40:50] = True
    np.testing.assert_array_equal(detector.raster("mask") == 255, unseen)
    np.testing.assert_array_equal(np.isnan(detector.raster("probability")), unseen)
    assert result.not_observed_pixels == unseen.sum()
    assert result.observed_area_m2 == (40 * 60 - unseen.sum()) * 100


def test_one_band_at_zero_is_still_observed(detector: Detector, make_raster, scene: np.ndarray) -> None:
    scene[10] = 0
    assert detector(make_raster(scene)).not_observed_pixels == 0


def test_an_alpha_band_is_a_mask_and_no_band_of_the_model(detector: Detector, make_raster, scene: np.ndarray) -> None:
    opaque = np.full((1, 40, 60), 1.0, dtype=np.float32)
    opaque[:, :, 40:] = 0
    path = make_raster(np.concatenate([scene, opaque]), names=None)
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [rasterio.enums.ColorInterp.gray] * 11 + [rasterio.enums.ColorInterp.alpha]
    assert detector(path).not_observed_pixels == 40 * 20


def test_integers_and_shuffled_bands_give_the_same(detector: Detector, make_raster, scene: np.ndarray) -> None:
    detector(make_raster(scene))
    expected = detector.raster("mask")
    order = list(reversed(range(11)))
    dn = np.round(scene[order] * 10000 + 1000).astype(np.uint16)
    path = make_raster(dn, name="dn.tif", names=tuple(MARIDA_ORDER[i] for i in order))
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = [1e-4] * 11, [-0.1] * 11
    detector(path)
    np.testing.assert_array_equal(detector.raster("mask"), expected)


def test_tiles_leave_no_seam(detector: Detector, make_raster, water: Water) -> None:
    array = water(1100, 700)
    array[B8] = np.random.default_rng(1).uniform(0.0, 0.2, (1100, 700))
    result = detector(make_raster(array))
    np.testing.assert_array_equal(detector.raster("mask") == 1, detector.raster("probability") >= 0.5)
    sure = np.abs(array[B8] - 0.1) > 1e-4
    np.testing.assert_array_equal((detector.raster("mask") == 1)[sure], (array[B8] > 0.1)[sure])
    table = detector.table()
    assert table["n_pixels"].sum() == result.debris_pixels == (detector.raster("mask") == 1).sum()
    assert all(shape.is_valid for shape in table["geometry"])


def test_extent_looks_only_there_on_the_same_pixels(detector: Detector, make_raster, scene: np.ndarray) -> None:
    # Five metres into column 8 and row 9: whole pixels that the extent touches are looked at.
    result = detector(make_raster(scene), extent=(500085.0, 599700.0, 500200.0, 599905.0))
    with rasterio.open(detector.folder / "mask.tif") as out:
        assert out.shape == (21, 12)
        assert out.transform == Affine(10, 0, 500080, 0, -10, 599910)
    assert result.debris_pixels == 5
    shape = detector.table()["geometry"][0]
    assert shape.bounds == (500100, 599890, 500150, 599900)


def test_extent_beside_the_raster(detector: Detector, make_raster, scene: np.ndarray) -> None:
    with pytest.raises(RasterError, match="does not touch"):
        detector(make_raster(scene), extent=(0.0, 0.0, 10.0, 10.0))


def test_min_pixels_counts_everywhere(detector: Detector, make_raster, scene: np.ndarray) -> None:
    result = detector(make_raster(scene), min_pixels=2)
    assert result.detection_count == 2
    assert result.debris_pixels == (detector.raster("mask") == 1).sum() == 7
    assert result.debris_area_m2 == detector.table()["area_m2"].sum() == 700
    assert detector.raster("mask")[30, 50] == 0


def test_threshold_is_the_callers_where_given(detector: Detector, make_raster, scene: np.ndarray) -> None:
    scene[B8, 0, 0] = 0.1 + math.log(0.3 / 0.7) / 200
    assert detector(make_raster(scene), threshold=0.25).debris_pixels == 9
    assert detector(make_raster(scene)).debris_pixels == 8


def test_nothing_found_is_a_result(detector: Detector, make_raster, water: Water) -> None:
    result = detector(make_raster(water(20, 20)))
    assert (result.detection_count, result.debris_area_m2, result.observed_pixels) == (0, 0, 400)
    assert len(detector.table()["id"]) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 700), (16, 16)])
def test_small_scenes(detector: Detector, make_raster, water: Water, size: tuple[int, int]) -> None:
    array = water(*size)
    array[B8, 0, -1] = 0.3
    result = detector(make_raster(array))
    assert result.debris_pixels == 1
    assert detector.raster("mask")[0, -1] == 1


def test_a_crs_for_a_raster_that_has_none(detector: Detector, make_raster, scene: np.ndarray) -> None:
    result = detector(make_raster(scene, crs=None), crs="EPSG:32630")
    assert (result.observed_area_m2, result.debris_area_m2) == (scene[0].size * 100, result.debris_pixels * 100)
    for name in ("mask", "probability"):
        with rasterio.open(detector.folder / f"{name}.tif") as out:
            assert out.crs.to_epsg() == 32630
    assert "32630" in str(pyogrio.raw.read(detector.vector)[0]["crs"])


def test_a_crs_that_is_asked_for_holds_whatever_the_file_says(
    detector: Detector, make_raster, scene: np.ndarray, caplog
) -> None:
    caplog.set_level("INFO")
    wkt = rasterio.crs.CRS.from_epsg(32631).to_wkt()
    west, north = 500000, 600000
    result = detector(make_raster(scene), crs=wkt, extent=(west, north - 100, west + 200, north))
    with rasterio.open(detector.folder / "mask.tif") as out:
        assert (out.crs.to_epsg(), out.shape) == (32631, (10, 20))
    assert result.observed_area_m2 == 200 * 100
    assert "scene.tif is taken to have the CRS EPSG:32631." in caplog.text


def test_a_crs_that_nobody_understands(detector: Detector, make_raster, scene: np.ndarray) -> None:
    with pytest.raises(RequestError, match="crs is 'EPSG:nowhere', which cannot be understood"):
        detector(make_raster(scene), crs="EPSG:nowhere")
    assert list(detector.folder.iterdir()) == []
    with pytest.raises(RequestError, match="A product tells its own CRS"):
        DetectRequest(product=("a.zip",), mask="m.tif", crs="EPSG:32630")


def test_a_crs_that_is_asked_for_is_that_of_water_and_area(detector: Detector, make_raster, scene, caplog) -> None:
    """Of rasters whose file says another, with which they would lie beside the scene."""
    caplog.set_level("INFO")
    half = np.zeros((1, *scene[0].shape), dtype=np.uint8)
    half[0, :10] = 1
    path = make_raster(scene)
    own = make_raster(half, name="half.tif", names=None, crs="EPSG:32631")
    for name in ("water", "area"):
        result = detector(path, **{name: str(own), f"{name}_crs": "EPSG:32630"}, shore=0)
        assert result.observed_pixels == half.sum()
        assert f"{name.upper()} ({own}) is taken to have the CRS EPSG:32630." in caplog.text
        with pytest.raises(RequestError, match=f"{name}_crs is 'moon', which cannot be understood"):
            detector(path, **{name: str(own), f"{name}_crs": "moon"})
        with pytest.raises(RequestError, match=f"{name}_crs .*name {name} too"):
            detector(path, **{f"{name}_crs": "EPSG:32630"})


@pytest.mark.parametrize("beside", [True, False])
def test_an_area_with_nothing_of_the_scene_in_it_is_named_as_the_cause(detector: Detector, make_raster, scene, beside):
    """A raster that lies elsewhere, or is 0 all over the scene."""
    x = 900000 if beside else 500000
    there = np.full((1, *scene[0].shape), int(beside), dtype=np.uint8)
    area = make_raster(there, name="area.tif", names=None, transform=Affine(10, 0, x, 0, -10, 600000))
    with pytest.raises(RasterError, match=r"scene.tif holds no data within AREA \(.*area.tif\)"):
        detector(make_raster(scene), area=str(area))
    assert not (detector.folder / "mask.tif").exists()


@pytest.mark.filterwarnings("ignore:The given matrix is equal to Affine.identity")
@pytest.mark.parametrize("crs", [None, "EPSG:32630"])
def test_pixels_without_a_place_work_and_areas_are_unknown(
    detector: Detector, make_raster, scene: np.ndarray, caplog, crs
) -> None:
    """Without a CRS, or with one that was set for mere pixels: these are not 1 m² each."""
    result = detector(make_raster(scene, crs=crs, transform=Affine.identity()))
    assert result.detection_count == 3
    assert result.debris_area_m2 is None
    assert np.isnan(detector.table()["area_m2"]).all()
    assert "areas, longitudes and latitudes are unknown" in caplog.text
    # QGIS draws a raster without a transform with rows going down from 0: the results must lie upon it.
    xs, ys = np.transpose([(g.centroid.x, g.centroid.y) for g in detector.table()["geometry"]])
    assert ((xs > 0) & (xs < scene.shape[2]) & (ys < 0) & (ys > -scene.shape[1])).all()


@pytest.mark.parametrize(
    ("crs", "x", "y", "size"), [("EPSG:4326", 10.0, 60.0, 9e-5), ("EPSG:3857", 1113194.9, 8399737.9, 20.0)]
)
def test_areas_are_true_on_degrees_and_web_mercator(detector: Detector, make_raster, scene, crs, x, y, size) -> None:
    result = detector(make_raster(scene, crs=crs, transform=Affine(size, 0, x, 0, -size, y)))
    utm_corners = rasterio.warp.transform(
        crs, "EPSG:32632", [x, x + 60 * size, x + 60 * size, x], [y, y, y - 40 * size, y - 40 * size]
    )
    total = shapely.Polygon(zip(*utm_corners, strict=True)).area
    assert result.observed_area_m2 == pytest.approx(total, rel=0.002)
    assert detector.table()["area_m2"].sum() == pytest.approx(result.debris_area_m2)


def test_pixels_that_are_not_square(detector: Detector, make_raster, scene: np.ndarray) -> None:
    result = detector(make_raster(scene, transform=Affine(9.969, 0, 500000, 0, -9.996, 600000)))
    assert result.debris_area_m2 == pytest.approx(8 * 9.969 * 9.996)


@pytest.mark.parametrize("suffix", ["geojson", "shp", "fgb"])
def test_vector_formats(detector: Detector, make_raster, scene: np.ndarray, suffix: str) -> None:
    detector(make_raster(scene), vector=f"found.{suffix}")
    assert sorted(detector.table()["n_pixels"]) == [1, 2, 5]


def test_geojson_is_in_degrees(detector: Detector, make_raster, scene: np.ndarray) -> None:
    detector(make_raster(scene), vector="found.geojson")
    assert all(
        -180 <= x <= 180 and -90 <= y <= 90 for s in detector.table()["geometry"] for x, y in s.envelope.exterior.coords
    )


def test_progress_never_goes_back(detector: Detector, make_raster, water: Water) -> None:
    seen: list[float] = []
    detector(make_raster(water(900, 700)), monitor=lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)


def test_real_patch(detector: Detector, marida: Path) -> None:
    path = marida / "patches" / "S2_22-12-20_18QYF" / "S2_22-12-20_18QYF_0.tif"
    result = detector(path)
    with rasterio.open(path) as source, rasterio.open(detector.folder / "mask.tif") as out:
        assert (out.crs, out.transform, out.shape) == (source.crs, source.transform, source.shape)
        b8 = source.read(8)
    np.testing.assert_array_equal(detector.raster("mask") == 1, 1 / (1 + np.exp(-200 * (b8 - np.float32(0.1)))) >= 0.5)
    assert result.debris_area_m2 == result.debris_pixels * 100
