"""The demonstration's own parts: colours that show water, and a map that QGIS draws from results."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine

from engine.bands import MARIDA_ORDER
from engine.raster import gdal_settings
from tools.demo import Results, against_truth, draw, look, main, summary
from tools.package_plugin import ROOT

SIZE = 64
WATER = {"B2": 0.06, "B3": 0.05, "B4": 0.03, "B8": 0.02}
Writer = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def writer(name: str, array: np.ndarray, names: tuple[str, ...] = (), **profile: object) -> Path:
        with rasterio.open(
            tmp_path / name, "w", driver="GTiff", count=array.shape[0], height=SIZE, width=SIZE, dtype=array.dtype,
            crs="EPSG:32630", transform=Affine(10, 0, 500000, 0, -10, 600000), **profile,
        ) as dataset:  # fmt: skip
            dataset.write(array)
            dataset.update_tags(MODEL="toy", THRESHOLD="0.5")
            if names:
                dataset.descriptions = names
        return tmp_path / name

    return writer


def sea(land_from: int = SIZE, cloud_from: int = SIZE) -> np.ndarray:
    """Slightly uneven water; columns of bright land, rows of bright cloud."""
    array = np.empty((len(MARIDA_ORDER), SIZE, SIZE), dtype=np.float32)
    for number, band in enumerate(MARIDA_ORDER):
        array[number] = WATER.get(band, 0.02)
    array *= 1 + 0.05 * np.random.default_rng(0).standard_normal((1, SIZE, SIZE)).astype(np.float32)
    array[:, :, land_from:] = 0.3
    array[MARIDA_ORDER.index("B8"), :, land_from:] = 0.4
    array[:, cloud_from:] = 0.6
    return array


def mask(value: int = 0) -> np.ndarray:
    return np.full((1, SIZE, SIZE), value, dtype=np.uint8)


@pytest.mark.parametrize(("land_from", "cloud_from"), [(SIZE, SIZE), (8, SIZE), (SIZE, 50)])
def test_water_is_shown_dark_but_not_black(write: Writer, land_from: int, cloud_from: int) -> None:
    scene = write("scene.tif", sea(land_from, cloud_from), MARIDA_ORDER)
    seen = look(scene, write("mask.tif", mask()))
    assert [MARIDA_ORDER[entry["band"] - 1] for entry in seen["colour"]] == ["B4", "B3", "B2"]
    shown = [
        (WATER[band] - entry["low"]) / (entry["high"] - entry["low"])
        for band, entry in zip(("B4", "B3", "B2"), seen["colour"], strict=True)
    ]
    assert all(0.05 < level < 0.6 for level in shown)
    assert shown[2] > shown[0], "water is bluish"


def test_what_was_not_observed_does_not_set_the_range(write: Writer) -> None:
    array, states = sea(), mask()
    array[:, :40] = -5
    states[:, :40] = 255
    whole = look(write("whole.tif", sea(), MARIDA_ORDER), write("mask.tif", mask()))
    part = look(write("part.tif", array, MARIDA_ORDER), write("states.tif", states))
    for first, second in zip(whole["colour"], part["colour"], strict=True):
        assert second["low"] == pytest.approx(first["low"], abs=0.005)
    assert part["mask_values"] == [0, 255]


def test_a_raster_without_names_is_shown_all_the_same(write: Writer) -> None:
    seen = look(write("picture.tif", sea()[:3]), write("mask.tif", mask()))
    assert [entry["band"] for entry in seen["colour"]] == [1, 2, 3]


def test_the_summary_says_when_areas_are_unknown() -> None:
    figures = {"DETECTION_COUNT": 2, "DEBRIS_AREA_M2": 300.0, "OBSERVED_AREA_M2": 4e6, "NOT_OBSERVED_AREA_M2": 1e6}
    assert summary(figures) == "2 detections, 300 m² in all; 4.00 km² observed, 1.00 km² not observed"
    assert "areas are unknown" in summary({"DETECTION_COUNT": 2})


def test_a_practice_scene_is_compared_with_its_truth(write: Writer) -> None:
    found, true = mask(), mask(7)
    found[0, 0, :10] = 1
    true[0, 0, 4:12] = 1
    true[0, 0, :4] = [5, 0, 0, 5]
    text = against_truth(write("found.tif", found), write("true.tif", true))
    assert text.startswith("of 8 true debris pixels, 6 were found; also flagged: 2 at the edges of things")
    assert text.endswith("have no label, 2 Ship")
    found[0, 0, :4] = 0
    text = against_truth(write("found.tif", found), write("true.tif", true))
    assert text == "of 8 true debris pixels, 6 were found; nothing else was flagged"


def test_a_scene_that_is_not_there_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scene", str(tmp_path / "missing.tif"), "--folder", str(tmp_path / "work")]) == 1
    assert "missing.tif" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


@pytest.mark.qgis
def test_qgis_draws_the_map(write: Writer, tmp_path: Path, qgis_installed: None) -> None:
    states, probability = mask(), np.zeros((1, SIZE, SIZE), dtype=np.float32)
    states[0, 30:33, 30:33], probability[0, 30:33, 30:33] = 1, 0.9
    states[0, :8], probability[0, :8] = 255, np.nan
    square = shapely.box(500300, 599670, 500330, 599700)
    detections = tmp_path / "detections.gpkg"
    pyogrio.raw.write(
        str(detections), shapely.to_wkb(np.array([square])), [np.array([0.9])], ["mean_prob"],
        geometry_type="Polygon", crs="EPSG:32630", driver="GPKG",
    )  # fmt: skip
    for style in ("detections", "probability"):
        shutil.copy(ROOT / "debris_qgis" / "styles" / f"{style}.qml", tmp_path)
    results = Results(
        scene=write("scene.tif", sea(), MARIDA_ORDER),
        mask=write("mask.tif", states, nodata=255),
        probability=write("probability.tif", probability, nodata=np.nan),
        detections=detections,
        figures={"DETECTION_COUNT": 1, "DEBRIS_AREA_M2": 900.0, "OBSERVED_AREA_M2": 3e5, "NOT_OBSERVED_AREA_M2": 5e4},
    )
    picture = draw(results, "Title", "Credit.", tmp_path)
    with gdal_settings(), rasterio.open(picture) as image:
        pixels = image.read()[:3].astype(int)
    height, width = pixels.shape[1:]
    assert (width, height) == (1753, 1240)
    red, green, blue = np.median(pixels[:, 450:800, 200:700].reshape(3, -1), axis=1)
    assert red < green < blue, "the colour image shows water"
    right = pixels[:, 250:850, 900:1680]
    assert np.ptp(np.median(right.reshape(3, -1), axis=1)) < 3, "the other map lies on grey"
    assert (np.ptp(right, axis=0) > 80).sum() > 100, "the detection stands out in colour"
    assert (pixels[:, 930:1180, 50:700] < 128).any(axis=0).sum() > 500, "there is a legend"
