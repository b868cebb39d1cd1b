"""debris:evaluate in a real QGIS with the real engine: known scores, both kinds of data, report, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from qgis import processing
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from .conftest import RecordingFeedback
from .training_data import class_raster, pixels, polygons


@pytest.fixture
def evaluate(toy_model):
    def run(feedback=None, **values):
        return processing.run(
            "debris:evaluate", {"MODEL": toy_model, **values}, feedback=feedback or RecordingFeedback()
        )

    return run


def test_polygons_over_a_raster(evaluate, make_raster, out):
    """The toy model finds what is bright in B8, which is the labelled debris and nothing else: all scores are 1."""
    page, scores = out / "report.html", out / "scores.json"
    feedback = RecordingFeedback()
    result = evaluate(
        feedback, RASTERS=[make_raster(pixels())], LABELS=[polygons()], LABEL_FIELD="class", THRESHOLD=0.5,
        REPORT=str(page), SCORES=str(scores),
    )  # fmt: skip
    assert (result["F1"], result["IOU"], result["PRECISION"], result["RECALL"]) == (1, 1, 1, 1)
    # One patch alone: nothing can be drawn from it.
    assert not {"F1_LOW", "F1_HIGH"} & set(result)
    assert result["THRESHOLD_USED"] == 0.5
    stored = json.loads(scores.read_text(encoding="utf-8"))
    assert stored["counts"] == {"tp": 25 * 36, "fp": 0, "fn": 0, "tn": 25 * 180}
    assert (stored["interval"], stored["protocol"], stored["positive_classes"]) == (None, "strict", [1])
    assert (Path(stored["rasters"][0]).name, len(stored["labels"])) == ("scene.tif", 1)
    text = page.read_text(encoding="utf-8")
    assert "Marine Water" in text
    assert "none: there is one patch only" in text
    assert "scene.tif; labels" in text
    assert "900" in text
    assert any(line.startswith("F1 1.000 (95 % interval") for line in feedback.lines)


def test_false_positives_are_told_by_class(evaluate, make_raster, out):
    """With water labelled as debris and debris as water, everything is wrong, and the report says what with."""
    scores, page = out / "scores.json", out / "report.html"
    layer = polygons(number_of=lambda number: 8 - number)
    result = evaluate(
        RASTERS=[make_raster(pixels())], LABELS=[layer], LABEL_FIELD="class", THRESHOLD=0.5, SCORES=str(scores),
        REPORT=str(page),
    )  # fmt: skip
    assert result["F1"] == 0
    assert json.loads(scores.read_text(encoding="utf-8"))["false_positives"] == {"Marine Water": 900}
    assert "false positives" in page.read_text(encoding="utf-8")


def with_crs(layer, epsg):
    """As *Set CRS of Layer* leaves a layer: the file still says what it said."""
    layer.setCrs(QgsCoordinateReferenceSystem(f"EPSG:{epsg}"))
    return layer


@pytest.mark.parametrize("epsg", [None, 32631])
def test_a_crs_set_in_qgis_is_that_of_a_raster(evaluate, make_raster, epsg):
    """Of a file without a CRS and of one with another: the polygons lie where they were drawn."""
    own = make_raster(pixels(), name="own.tif", epsg=epsg)
    feedback = RecordingFeedback()
    result = evaluate(
        feedback, RASTERS=[with_crs(QgsRasterLayer(own, "own"), 32630)], LABELS=[polygons()], LABEL_FIELD="class",
        THRESHOLD=0.5,
    )  # fmt: skip
    assert (result["F1"], result["IOU"]) == (1, 1)
    assert any("own.tif is taken to have the CRS EPSG:32630." in line for line in feedback.lines)


@pytest.mark.parametrize("epsg", [None, 32631])
def test_a_crs_set_in_qgis_is_that_of_a_class_raster(evaluate, make_raster, epsg):
    """It holds more than the scene, so that without its place it cannot be laid on that."""
    wide = np.pad(class_raster(), ((0, 0), (20, 5), (30, 0)))
    classes = make_raster(
        wide, name="classes.tif", names=None, epsg=epsg, geotransform=(500000 - 300, 10, 0, 600000 + 200, 0, -10)
    )
    second = make_raster(pixels(1), name="second.tif")
    plain = make_raster(class_raster(), name="plain.tif", names=None)
    labels = [QgsRasterLayer(plain, "plain"), with_crs(QgsRasterLayer(classes, "classes"), 32630)]
    result = evaluate(RASTERS=[make_raster(pixels()), second], LABELS=labels, THRESHOLD=0.5)
    assert (result["F1"], result["IOU"]) == (1, 1)


def test_a_crs_set_in_qgis_is_that_of_polygons(evaluate, make_raster, tmp_path):
    """Drawn in UTM zone 30, said by their file to be of zone 31."""
    options = QgsVectorFileWriter.SaveVectorOptions()
    context = QgsProject.instance().transformContext()
    wrong = with_crs(polygons("EPSG:32630"), 32631)
    QgsVectorFileWriter.writeAsVectorFormatV3(wrong, str(tmp_path / "drawn.gpkg"), context, options)
    drawn = with_crs(QgsVectorLayer(str(tmp_path / "drawn.gpkg"), "drawn", "ogr"), 32630)
    result = evaluate(RASTERS=[make_raster(pixels())], LABELS=[drawn], LABEL_FIELD="class", THRESHOLD=0.5)
    assert (result["F1"], result["IOU"]) == (1, 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "either a folder .* or rasters"),
        ({"FOLDER": "/nowhere"}, "There is no folder /nowhere"),
        ({"RASTERS": ["none.tif"], "LABELS": ["none.gpkg"]}, "none.tif is no layer"),
        ({"FOLDER": ".", "MODEL": "/nowhere/m.safetensors"}, "There is no model file"),
    ],
)
def test_bad_input(evaluate, values, message, out):
    with pytest.raises(QgsProcessingException, match=message):
        evaluate(**values)


def test_a_report_that_cannot_be_written(evaluate, make_raster):
    with pytest.raises(QgsProcessingException, match="/proc/report.html"):
        evaluate(RASTERS=[make_raster(pixels())], LABELS=[polygons()], LABEL_FIELD="class", REPORT="/proc/report.html")
    assert not Path("/proc/report.html").exists()
