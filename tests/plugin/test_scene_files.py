"""The scene's pictures where a product was searched: what is drawn, and that looking leaves nothing behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis import processing
from qgis.core import QgsProject

from debris_qgis.gui.results_labels import training_parameters
from debris_qgis.gui.results_layers import RunLayers
from debris_qgis.results.runs import runs_of
from debris_qgis.results.scene_files import drawable, is_product
from debris_qgis.results.scene_image import bands_of

from .conftest import RecordingFeedback
from .panel_driver import load
from .results_data import write_run

GRANULE = "S2A_MSIL2A_20190424T073619.SAFE/GRANULE/L2A_T30NZM"
FILES = {
    "loose": dict.fromkeys(("B2", "B3", "B4", "B6", "B8", "B11"), "{}_Sentinel-2_L2A_{}_(Raw).tiff"),
    "safe": {
        **dict.fromkeys(("B2", "B3", "B4", "B8"), GRANULE + "/IMG_DATA/R10m/T30NZM_{}_{}_10m.tif"),
        **dict.fromkeys(("B6", "B11"), GRANULE + "/IMG_DATA/R20m/T30NZM_{}_{}_20m.tif"),
    },
}
"""Where each band lies, by date and band."""
DATE = "20190424T073619"


def padded(band):
    return f"B{int(band[1:]):02d}"


def write_product(scene, folder, layout):
    """Single-band files of a scene, as browser exports have them or in the layout of ESA's products."""
    numbers = bands_of(scene)
    for band, name in FILES[layout].items():
        path = folder / name.format(DATE, padded(band))
        path.parent.mkdir(parents=True, exist_ok=True)
        size = {"width": 50, "height": 50} if "20m" in name else {}
        gdal.Translate(str(path), scene, bandList=[numbers[band]], **size)
    if layout == "safe":
        # Coarser copies and masks that are named by band too.
        gdal.Translate(str(folder / GRANULE / "IMG_DATA/R20m/T30NZM_X_B04_20m.tif"), scene, width=50, height=50)
        (folder / GRANULE / "QI_DATA").mkdir()
        gdal.Translate(str(folder / GRANULE / "QI_DATA/MSK_DETFOO_B04.tif"), scene, bandList=[1])
    return folder


@pytest.fixture
def run(tmp_path):
    """A run whose scene is known as a folder of single-band files."""
    results, product = tmp_path / "run", tmp_path / "product"
    results.mkdir()
    product.mkdir()
    made = write_run(results, tags={"INPUT": str(product)})
    write_product(made["SCENE"], product, "loose")
    return {**made, "PRODUCT": product}


def everything(folder):
    return sorted(path.name for path in Path(folder).rglob("*"))


@pytest.mark.parametrize("layout", ["loose", "safe"])
@pytest.mark.parametrize("chosen", ["folder", "zip", "one of the bands"])
def test_a_product_is_drawn_from_its_finest_bands(tmp_path, layout, chosen):
    scene = write_run(tmp_path)["SCENE"]
    folder = write_product(scene, tmp_path / "product", layout)
    path = {
        "folder": lambda: folder,
        "zip": lambda: shutil.make_archive(str(tmp_path / "packed"), "zip", folder),
        "one of the bands": lambda: next(folder.rglob("*_B03*")),
    }[chosen]()
    found = drawable(str(path))
    assert is_product(str(path))
    bands, whole = bands_of(found), bands_of(scene)
    assert set(bands) == {"B2", "B3", "B4", "B6", "B8", "B11"}
    for name in ("B2", "B3", "B4", "B8"):
        one, other = gdal.Open(found), gdal.Open(scene)
        ours, theirs = one.GetRasterBand(bands[name]), other.GetRasterBand(whole[name])
        np.testing.assert_array_equal(ours.ReadAsArray(), theirs.ReadAsArray())
        assert one.GetGeoTransform() == other.GetGeoTransform()


def test_a_raster_is_drawn_as_it_is_and_what_is_lost_is_not(tmp_path):
    made = write_run(tmp_path)
    assert drawable(made["SCENE"]) == made["SCENE"]
    assert not is_product(made["SCENE"])
    assert drawable(str(tmp_path / "gone")) == drawable("") == ""
    (tmp_path / "empty").mkdir()
    assert drawable(str(tmp_path / "empty")) == ""


def test_the_report_shows_a_products_image(run, out):
    before = everything(run["PRODUCT"])
    feedback = RecordingFeedback()
    parameters = {"DETECTIONS": run["DETECTIONS"], "MASK": run["MASK"], "HTML": str(out / "report.html")}
    processing.run("debris:report", parameters, feedback=feedback)
    assert not any("not at hand" in line for line in feedback.lines)
    # The map, and of each detection a close-up in colour and one of the index.
    assert (out / "report.html").read_text(encoding="utf-8").count("data:image/png;base64,") == 1 + 2 * 4
    assert everything(run["PRODUCT"]) == before


def test_colour_and_index_of_a_product_live_in_a_saved_project(run, project, tmp_path):
    load(project, run)
    before = everything(run["PRODUCT"])
    layers = RunLayers(runs_of(project)[0], project)
    assert layers.show_view("colour")
    assert layers.show_view("fdi")
    assert everything(run["PRODUCT"]) == before
    highest = layers.made("fdi").dataProvider().bandStatistics(1).maximumValue
    assert highest > 0.01
    del layers
    assert project.write(str(tmp_path / "p.qgz"))
    project.clear()
    assert project.read(str(tmp_path / "p.qgz"))
    again = RunLayers(runs_of(QgsProject.instance())[0], project)
    assert again.made("colour").isValid()
    assert again.made("fdi").dataProvider().bandStatistics(1).maximumValue == pytest.approx(highest)


def test_a_product_is_not_offered_to_train_model(run, project):
    load(project, run)
    (found,) = runs_of(project)
    labels = found.detections
    assert "RASTERS" not in training_parameters(found, labels)
