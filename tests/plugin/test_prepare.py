"""Products, levels and own layers in a real QGIS: Detect on a product, and Prepare Sentinel-2 Scene."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis import processing
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerUtils,
)

from .conftest import ROOT, RecordingFeedback

ENGINE_TESTS = ROOT / "tests" / "engine"
# The scene of the builder: 60 m cells of water, land in the ten left columns, ten bright pixels in row 60.
SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from safe_builder import write_l1c, write_image, zip_folder
from test_product_detection import top_of_atmosphere, water
from engine.bands import MARIDA_ORDER
folder = Path(sys.argv[1])
scene = water(120, 120)
scene[:, :, :20] = np.linspace(0.08, 0.3, 11, dtype=np.float32)[:, None, None]
zip_folder(write_l1c(folder, top_of_atmosphere(scene)))
(folder / "bands").mkdir()
for band, array in zip(MARIDA_ORDER, scene):
    write_image(folder / "bands" / f"T16PCC_20200728T160829_{band}.tif", array, 10)
"""
WEST, NORTH = 399960.0, 1800000.0


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    """A folder with an L1C SAFE, its zip, and a folder of single-band files."""
    folder = tmp_path_factory.mktemp("products")
    python = os.environ.get("DEBRIS_ENGINE_PYTHON", str(ROOT / ".venv" / "bin" / "python"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ENGINE_TESTS)])}
    subprocess.run([python, "-c", SCRIPT, str(folder)], check=True, env=environment)
    return folder


def read(path):
    return gdal.Open(str(path)).ReadAsArray()


def detect(product, model, out, feedback=None, **values):
    parameters = {"PRODUCT": str(product), "MODEL": model, "MASK": str(out / "mask.tif"),
                  "DETECTIONS": str(out / "found.gpkg"), **values}  # fmt: skip
    return processing.run("debris:detect", parameters, feedback=feedback or RecordingFeedback())


def rectangle(left, top, right, bottom):
    """Columns and rows of the scene as a layer that lives in memory only."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32616", "drawn", "memory")
    feature = QgsFeature()
    shape = QgsRectangle(WEST + 10 * left, NORTH - 10 * bottom, WEST + 10 * right, NORTH - 10 * top)
    feature.setGeometry(QgsGeometry.fromRect(shape))
    layer.dataProvider().addFeature(feature)
    return layer


@pytest.mark.parametrize("kind", ["folder", "zip", "metadata", "one of the bands"])
def test_a_product_however_it_is_chosen(products, toy_model, out, kind):
    safe = next(products.glob("*.SAFE"))
    chosen = {
        "folder": safe,
        "zip": next(products.glob("*.zip")),
        "metadata": safe / "MTD_MSIL1C.xml",
        "one of the bands": next(safe.rglob("*_B04.jp2")),
    }[kind]
    feedback = RecordingFeedback()
    result = detect(chosen, toy_model, out, feedback)
    assert result["DEBRIS_AREA_M2"] == 1000
    found = next(QgsVectorLayer(result["DETECTIONS"], "found", "ogr").getFeatures())
    assert found["level"] == "Rayleigh-corrected"
    assert found["sensing_time"] == "2020-07-28T16:18:44Z"
    assert found["product_id"].startswith("S2A_MSIL1C_20200728T160829")
    assert 380 < found["land_m"] < 430
    assert any("from L1C, by our own correction" in line for line in feedback.lines)
    assert any(line.startswith("Not observed: land") for line in feedback.lines)


def test_single_files(products, toy_model, out):
    folder = products / "bands"
    one = detect(next(folder.glob("*_B8.tif")), toy_model, out)
    assert one["DETECTION_COUNT"] == 1
    every = ";".join(str(path) for path in sorted(folder.iterdir()))
    assert detect(every, toy_model, out, LEVEL="L2A")["DETECTION_COUNT"] == 1


def test_layers_drawn_in_qgis_say_where_to_look(products, toy_model, out, project):
    area, sea = rectangle(0, 0, 66, 120), rectangle(30, -50, 500, 500)
    project.addMapLayers([area, sea])
    detect(next(products.glob("*.SAFE")), toy_model, out, AREA=area, WATER=sea.id(), SHORE=0)
    mask = read(out / "mask.tif")
    assert (mask[:, 66:] == 255).all()
    assert (mask[:, :30] == 3).all()
    assert (mask[:, 30:66] < 2).all()
    assert (mask == 1).sum() == 6


def _saved(layer, path):
    options = QgsVectorFileWriter.SaveVectorOptions()
    QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), QgsCoordinateTransformContext(), options)
    return QgsVectorLayer(str(path), path.stem, "ogr")


@pytest.mark.parametrize("name", ["AREA", "WATER"])
def test_polygons_drawn_but_not_saved_count(products, toy_model, out, tmp_path, name):
    """A person looks at two rectangles; the file holds one until the layer's edits are saved."""
    layer = _saved(rectangle(0, 0, 40, 120), tmp_path / "drawn.gpkg")
    layer.startEditing()
    drawn = next(rectangle(80, 0, 120, 120).getFeatures()).geometry()
    # As QGIS makes a feature that is drawn: its id is the text "Autogenerate" until it is saved.
    assert layer.addFeature(QgsVectorLayerUtils.createFeature(layer, drawn))
    detect(next(products.glob("*.SAFE")), toy_model, out, **{name: layer}, SHORE=0, MASKS="none")
    layer.rollBack()
    seen = read(out / "mask.tif") < 2
    assert seen[:, :40].all()
    assert seen[:, 80:].all()
    assert not seen[:, 40:80].any()


def test_a_filter_and_a_crs_set_in_qgis_count(products, toy_model, out, tmp_path):
    nowhere = rectangle(0, 0, 40, 120)
    nowhere.setCrs(QgsCoordinateReferenceSystem())
    layer = _saved(nowhere, tmp_path / "drawn.gpkg")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32616"))
    detect(next(products.glob("*.SAFE")), toy_model, out, AREA=layer, MASKS="none")
    assert (read(out / "mask.tif")[0] < 2).sum() == 40
    both = _saved(rectangle(0, 0, 40, 120), tmp_path / "both.gpkg")
    both.dataProvider().addFeature(next(rectangle(80, 0, 120, 120).getFeatures()))
    both.setSubsetString("fid = 2")
    detect(next(products.glob("*.SAFE")), toy_model, out, AREA=both, MASKS="none")
    assert (read(out / "mask.tif")[0] < 2).nonzero()[0].min() == 80


@pytest.mark.parametrize("name", ["AREA", "WATER"])
@pytest.mark.parametrize("epsg", [None, 32631])
def test_a_crs_set_in_qgis_is_that_of_a_raster_that_says_where_to_look(make_raster, water, toy_model, out, name, epsg):
    """Of a file without a CRS and of one with another."""
    half = np.zeros((1, 20, 20), dtype=np.uint8)
    half[0, :5] = 1
    layer = QgsRasterLayer(make_raster(half, name="half.tif", names=None, epsg=epsg), "half")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32630"))
    scene = {"INPUT": make_raster(water(20, 20)), "SHORE": 0, name: layer}
    values = {**scene, "MODEL": toy_model, "MASK": str(out / "mask.tif")}
    feedback = RecordingFeedback()
    assert processing.run("debris:detect", values, feedback=feedback)["OBSERVED_AREA_M2"] == 5 * 20 * 100
    assert any(line.endswith("half.tif) is taken to have the CRS EPSG:32630.") for line in feedback.lines)
    values = {**scene, "OUTPUT": str(out / "scene.tif"), "QUALITY": str(out / "quality.tif")}
    result = processing.run("debris:prepare", values, feedback=RecordingFeedback())
    assert result["WATER_AREA_M2"] == 5 * 20 * 100


def test_extent_of_a_product_in_another_crs(products, toy_model, out):
    detect(next(products.glob("*.SAFE")), toy_model, out, EXTENT="400500,400600,1799300,1799500 [EPSG:32616]")
    assert read(out / "mask.tif").shape == (20, 10)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"PRODUCT": ""}, "Choose one of the two"),
        ({"INPUT": "scene.tif"}, "Choose one of the two"),
        ({"PRODUCT": "/no/such/place"}, "There is no file or folder /no/such/place"),
        ({"WATER": "/no/such/layer.gpkg"}, "WATER is /no/such/layer.gpkg, which is no layer"),
        ({"LEVEL": "L2A"}, "is a product of level L1C, but LEVEL says L2A"),
    ],
)
def test_wrong_values_get_one_message(products, toy_model, out, values, words):
    with pytest.raises(QgsProcessingException, match=words):
        detect(next(products.glob("*.SAFE")), toy_model, out, **values)
    assert not list(out.iterdir())


def test_prepare_then_detect(products, toy_model, out):
    result = processing.run(
        "debris:prepare",
        {"PRODUCT": str(next(products.glob("*.zip"))), "OUTPUT": str(out / "s.tif"), "QUALITY": str(out / "q.tif")},
        feedback=RecordingFeedback(),
    )
    scene, quality = QgsRasterLayer(result["OUTPUT"], "s"), QgsRasterLayer(result["QUALITY"], "q")
    assert scene.bandCount() == 11
    assert "B8A" in scene.bandName(9)
    assert scene.extent() == quality.extent()
    assert set(np.unique(read(out / "q.tif"))) == {0, 3}
    # QGIS shows reflectance: it takes scale and offset from the file.
    shown = scene.dataProvider().sample(scene.extent().center(), 8)[0]
    assert shown == pytest.approx(0.2, abs=0.001) or shown == pytest.approx(0.02, abs=0.001)
    assert result["LAND_AREA_M2"] + result["WATER_AREA_M2"] == 120 * 120 * 100
    assert Path(out / "s.qml").is_file()
    assert Path(out / "q.qml").is_file()
    again = processing.run(
        "debris:detect",
        {"INPUT": scene, "MODEL": toy_model, "MASK": str(out / "mask.tif")},
        feedback=RecordingFeedback(),
    )
    assert again["DEBRIS_AREA_M2"] == 1000
    assert again["NOT_OBSERVED_AREA_M2"] == result["LAND_AREA_M2"]


def test_a_crs_set_in_qgis_counts_in_what_is_prepared(make_raster, water, out):
    layer = QgsRasterLayer(make_raster(water(20, 20), epsg=None), "bare")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32630"))
    parameters = {"INPUT": layer, "OUTPUT": str(out / "s.tif"), "QUALITY": str(out / "q.tif")}
    result = processing.run("debris:prepare", parameters, feedback=RecordingFeedback())
    assert [QgsRasterLayer(result[name], name).crs().authid() for name in ("OUTPUT", "QUALITY")] == ["EPSG:32630"] * 2
    assert result["WATER_AREA_M2"] == 20 * 20 * 100


def test_prepared_scenes_may_be_temporary(products, toy_model, project):
    prepared = processing.run(
        "debris:prepare",
        {"PRODUCT": str(next(products.glob("*.SAFE"))), "OUTPUT": "TEMPORARY_OUTPUT", "QUALITY": "TEMPORARY_OUTPUT"},
        feedback=RecordingFeedback(),
    )
    feedback = RecordingFeedback()
    found = processing.run(
        "debris:detect",
        {"INPUT": prepared["OUTPUT"], "MODEL": toy_model, "MASK": "TEMPORARY_OUTPUT"},
        feedback=feedback,
    )
    assert found["DEBRIS_AREA_M2"] == 1000
    assert found["NOT_OBSERVED_AREA_M2"] == prepared["LAND_AREA_M2"]
