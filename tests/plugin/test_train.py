"""debris:train in a real QGIS with the real engine: three sources of data, layers handed over, cancel, bad input."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from osgeo import gdal
from qgis import processing
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingException,
    QgsProcessingParameterDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)

from debris_qgis.algorithms.labelled import LabelledDataError, class_numbers, label_source
from debris_qgis.compat import ADVANCED

from .conftest import RecordingFeedback
from .test_detect import _engines, left
from .training_data import DEBRIS, QUICK, WATER, class_raster, few_patches, pixels, polygons

OPTIONAL = QgsProcessingParameterDefinition.FlagOptional
# The recipe: value, and whether it is among the advanced ones.
RECIPE = {
    "WIDTH": (64, False), "EPOCHS": (100, False), "BATCH_SIZE": (16, False), "LEARNING_RATE": (1e-3, True),
    "WARMUP_EPOCHS": (10, True), "PATIENCE": (15, True), "WEIGHT_DECAY": (1e-4, True), "DROPOUT": (0.2, True),
    "TRAINING_SAMPLES": (2000, True), "VALIDATION_SAMPLES": (400, True), "SEED": (0, True),
    "POSITIVE_CLASSES": ("1", False), "RESUME": (False, False), "DEVICE": ("auto", True), "SOURCE": ("practice", False),
}  # fmt: skip


@pytest.fixture
def raster(make_raster):
    return make_raster(pixels())


@pytest.fixture
def train(out):
    def run(feedback=None, **values):
        parameters = {**QUICK, "MODEL": str(out / "my.safetensors"), **values}
        return processing.run("debris:train", parameters, feedback=feedback or RecordingFeedback())

    return run


def card_of(path, python):
    code = (
        "import sys, pathlib, json, dataclasses; from engine import modelfile as m;"
        "c = m.load(pathlib.Path(sys.argv[1]))[1]; print(json.dumps(dataclasses.asdict(c), default=str))"
    )
    root = Path(__file__).resolve().parents[2]
    answer = subprocess.run([str(python), "-c", code, path], cwd=root, check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)


@pytest.mark.parametrize("name", list(RECIPE))
def test_defaults_are_the_recipes(provider, name):
    parameter = provider.algorithm("train").parameterDefinition(name)
    assert parameter.defaultValue() == RECIPE[name][0]
    assert bool(parameter.flags() & ADVANCED) is RECIPE[name][1]


def test_parameters_and_outputs(provider):
    algorithm = provider.algorithm("train")
    names = {p.name() for p in algorithm.parameterDefinitions()}
    assert {"FOLDER", "RASTERS", "LABELS", "LABEL_FIELD", "START_FROM", "MODEL", "REPORT", "LOG"} <= names
    outputs = {o.name(): o.type() for o in algorithm.outputDefinitions()}
    assert outputs == {
        "MODEL": "outputFile", "REPORT": "outputHtml", "LOG": "outputFile", "BEST_F1": "outputNumber",
        "BEST_IOU": "outputNumber",
    }  # fmt: skip


def test_polygons_in_another_crs_then_detect_with_nothing_typed_again(train, raster, out, engine_python):
    """A layer that exists in QGIS alone, in degrees, over a raster in UTM; then Detect takes the model as it is."""
    feedback = RecordingFeedback()
    outputs = {"REPORT": str(out / "my.html"), "LOG": str(out / "my.csv")}
    result = train(
        feedback, SOURCE="rasters", RASTERS=[raster], LABELS=[polygons()], LABEL_FIELD="class", EPOCHS=4,
        LEARNING_RATE=0.01, **outputs,
    )  # fmt: skip
    assert 0.5 < result["BEST_IOU"] <= result["BEST_F1"] <= 1
    card = card_of(result["MODEL"], engine_python)
    assert card["metrics"]["debris"]["f1"] == pytest.approx(result["BEST_F1"], abs=1e-4)
    assert "<html" in Path(result["REPORT"]).read_text(encoding="utf-8").lower()
    rows = list(csv.DictReader(Path(result["LOG"]).read_text(encoding="utf-8").splitlines()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    assert any(f"F1 {result['BEST_F1']:.3f}" in line for line in feedback.lines)
    found = processing.run(
        "debris:detect",
        {"INPUT": raster, "MODEL": result["MODEL"], "MASK": str(out / "mask.tif")},
        feedback=RecordingFeedback(),
    )
    assert found["OBSERVED_AREA_M2"] == 160 * 160 * 100
    # The rims of the patterns have no label, so what is said of them is left to the network.
    mask, labels = gdal.Open(str(out / "mask.tif")).ReadAsArray(), class_raster()[0]
    assert (mask[labels == DEBRIS] == 1).mean() > 0.95
    assert (mask[labels == WATER] == 1).mean() < 0.01


def test_a_crs_set_in_qgis_is_that_of_the_raster(train, make_raster, out):
    """The polygons lie where they were drawn over it, whatever CRS its file says."""
    layer = QgsRasterLayer(make_raster(pixels(), epsg=32631), "scene")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32630"))
    train(SOURCE="rasters", RASTERS=[layer], LABELS=[polygons()], LABEL_FIELD="class", EPOCHS=1)
    plan = json.loads((out / "my.training" / "plan.json").read_text(encoding="utf-8"))
    assert plan["training"]["classes"]["Marine Debris"] % 36 == 0


def test_labels_mean_the_same_as_class_raster_and_as_polygons(raster, make_raster, out, engine_python):
    """The engine counts the same pixels, whatever holds the labels and in whatever CRS."""
    from debris_qgis.engine_environment import find_engine
    from debris_qgis.engine_process import EngineProcess

    counts = []
    classes = make_raster(class_raster(), name="classes.tif", names=None)
    for layer in (QgsRasterLayer(classes, "classes"), polygons("EPSG:3857")):
        path, name = label_source(layer)
        request = {"source": "rasters", "rasters": [raster], "labels": [path], "label_layer": name, "tile_size": 32}
        request["label_field"] = None if isinstance(layer, QgsRasterLayer) else "class"
        answer = EngineProcess(find_engine()).run("inspect", request, RecordingFeedback())
        counts.append({n: answer["training"]["classes"][n] + answer["validation"]["classes"][n]
                       for n in ("Marine Debris", "Marine Water")})  # fmt: skip
    assert counts[0] == counts[1]
    # Tiles at the border between training and validation belong to neither.
    assert 10 * 36 < counts[0]["Marine Debris"] <= 25 * 36
    assert counts[0]["Marine Water"] == 5 * counts[0]["Marine Debris"]


def test_a_layer_is_handed_over_as_qgis_shows_it(tmp_path):
    """Straight from its file; but with a filter, or edits not saved, as a copy of what is seen."""
    from qgis.core import QgsVectorFileWriter, QgsVectorLayerUtils

    source, path = polygons(), str(tmp_path / "labels.gpkg")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.layerName = "drawn"
    QgsVectorFileWriter.writeAsVectorFormatV3(source, path, QgsProject.instance().transformContext(), options)
    stored = QgsVectorLayer(f"{path}|layername=drawn", "stored", "ogr")
    assert label_source(stored) == (path, "drawn")
    stored.setSubsetString("class = 1")
    copy, name = label_source(stored)
    assert copy != path
    assert QgsVectorLayer(copy, "copy", "ogr").featureCount() == 25
    stored.setSubsetString("")
    stored.startEditing()
    stored.deleteFeature(1)
    copy, _ = label_source(stored)
    assert QgsVectorLayer(copy, "copy", "ogr").featureCount() == 49
    shape = next(stored.getFeatures()).geometry()
    # As QGIS makes a feature that is drawn: its id is the text "Autogenerate" until it is saved.
    stored.addFeature(QgsVectorLayerUtils.createFeature(stored, shape, {stored.fields().indexOf("class"): 7}))
    copy, _ = label_source(stored)
    again = QgsVectorLayer(copy, "copy", "ogr")
    assert [feature["class"] for feature in again.getFeatures()] == [
        feature["class"] for feature in stored.getFeatures()
    ]
    assert again.featureCount() == 50
    assert again.crs() == stored.crs()
    stored.rollBack()


def test_points_are_no_labels():
    with pytest.raises(LabelledDataError, match="choose polygons or a class raster"):
        label_source(QgsVectorLayer("Point?crs=epsg:4326", "points", "memory"))


def test_class_numbers():
    assert class_numbers(" 1, 2;3 4,9 ") == [1, 2, 3, 4, 9]
    with pytest.raises(LabelledDataError, match="write class numbers"):
        class_numbers("debris")


@pytest.mark.slow
def test_marida_split_by_scene(train, marida, tmp_path, out):
    folder = few_patches(marida, tmp_path / "few")
    result = train(SOURCE="marida", FOLDER=str(folder), EPOCHS=1, TILE_SIZE=128)
    plan = json.loads((out / "my.training" / "plan.json").read_text(encoding="utf-8"))
    assert not set(plan["training"]["scenes"]) & set(plan["validation"]["scenes"])
    assert plan["validation"]["classes"]["Marine Debris"] > 0
    assert os.path.isfile(result["MODEL"])


@pytest.mark.parametrize(
    "moment",
    [pytest.param("Reading", marks=pytest.mark.slow), "Epoch", pytest.param("Validating", marks=pytest.mark.slow)],
)
def test_cancel_within_three_seconds_leaves_no_model(train, raster, out, moment):
    feedback = RecordingFeedback(cancel_at=moment)
    stopped = []
    feedback.canceled.connect(lambda: stopped.append(time.monotonic()))
    result = train(feedback, SOURCE="rasters", RASTERS=[raster], LABELS=[polygons()], LABEL_FIELD="class", EPOCHS=500)
    assert stopped, feedback.lines
    assert time.monotonic() - stopped[0] < 3
    assert "MODEL" not in result
    assert left(out) in ([], ["my.training"])
    assert _engines() == []


@pytest.mark.slow
def test_killed_then_resumed_loses_no_whole_epoch(train, raster, out):
    """`kill -9` after the third epoch; Resume goes on from where the log ends, and the model comes out."""
    labels = polygons()
    values = {"SOURCE": "rasters", "RASTERS": [raster], "LABELS": [labels], "LABEL_FIELD": "class"}
    log = out / "my.training" / "log.csv"

    def kill():
        while not log.is_file() or len(log.read_text().splitlines()) < 4:
            time.sleep(0.02)
        for pid in _engines():
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with pytest.raises(QgsProcessingException, match="signal 9"):
        train(EPOCHS=300, PATIENCE=1000, **values)
    killer.join(60)
    assert left(out) == ["my.training"]
    done = len(log.read_text().splitlines()) - 1

    def stop():
        while len(log.read_text().splitlines()) - 1 <= done:
            time.sleep(0.02)
        (out / "my.training" / "stop").touch()

    stopper = threading.Thread(target=stop, daemon=True)
    stopper.start()
    feedback = RecordingFeedback()
    result = train(feedback, EPOCHS=300, PATIENCE=1000, RESUME=True, **values)
    stopper.join(60)
    going = next(line for line in feedback.lines if "after epoch" in line.lower())
    assert any(f"after epoch {number} " in going.lower() for number in (done - 1, done, done + 1)), going
    epochs = [int(line.split(",")[0]) for line in log.read_text().splitlines()[1:]]
    assert epochs == list(range(1, len(epochs) + 1))
    assert len(epochs) > done
    assert left(out) == ["my.safetensors", "my.training"]
    assert 0 <= result["BEST_F1"] <= 1


def _bad(kind, raster, make_raster, tmp_path):
    water = class_raster()
    water[water == 1] = 7
    far = make_raster(pixels(), name="far.tif", geotransform=(900000, 10, 0, 900000, 0, -10))
    picture = make_raster(pixels()[:3], name="picture.tif", names=None)
    rasters = {"SOURCE": "rasters", "RASTERS": [raster], "LABEL_FIELD": "class"}
    only_water = make_raster(water, name="water.tif", names=None)
    (tmp_path / "empty").mkdir()
    return {
        "no labels under the raster": ({**rasters, "RASTERS": [far], "LABELS": [polygons()]}, "label"),
        "one class": ({"SOURCE": "rasters", "RASTERS": [raster], "LABELS": [only_water]}, "class"),
        "strange classes": ({**rasters, "LABELS": [polygons(number_of=lambda n: n + 40)]}, "41|47"),
        "bands": ({**rasters, "RASTERS": [picture], "LABELS": [polygons()]}, "B1"),
        "empty folder": ({"SOURCE": "marida", "FOLDER": str(tmp_path / "empty")}, "empty"),
        "no folder": ({"SOURCE": "marida", "FOLDER": "/nowhere"}, "There is no folder /nowhere"),
        "folder not named": ({"SOURCE": "marida"}, "FOLDER"),
        "no labels": ({"SOURCE": "rasters", "RASTERS": [raster]}, "LABELS"),
        "no field": ({**rasters, "LABELS": [polygons()], "LABEL_FIELD": None}, "Choose the field"),
        "other field": ({**rasters, "LABELS": [polygons(field="kind")]}, "no field 'class'; it has kind"),
        "positive": ({"POSITIVE_CLASSES": "debris"}, "write class numbers"),
        "tile size": ({"TILE_SIZE": 100}, "multiple of 16"),
        "start from": ({"START_FROM": "/nowhere/m.safetensors"}, "There is no model file"),
        "ending": ({"MODEL": str(tmp_path / "m.pth")}, "safetensors"),
        "read-only": ({"MODEL": "/proc/m.safetensors"}, "/proc"),
        "nothing to resume": ({"RESUME": True}, "without resume"),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["no labels under the raster", "one class", "strange classes", "bands", "empty folder", "no folder",
     "folder not named", "no labels", "no field", "other field", "positive", "tile size", "start from", "ending",
     "read-only", "nothing to resume"],
)  # fmt: skip
def test_bad_input_gives_one_clear_message_and_no_model(kind, train, raster, make_raster, tmp_path, out):
    values, message = _bad(kind, raster, make_raster, tmp_path)
    with pytest.raises(QgsProcessingException, match=message) as caught:
        train(**values)
    assert "Traceback" not in str(caught.value)
    assert "Log:" not in str(caught.value)
    assert not list(out.glob("*.safetensors"))


def test_resume_of_another_network(train, raster, out):
    values = {"SOURCE": "rasters", "RASTERS": [raster], "LABELS": [polygons()], "LABEL_FIELD": "class", "EPOCHS": 1}
    train(**values)
    with pytest.raises(QgsProcessingException, match="(?i)network|width") as caught:
        train(**{**values, "WIDTH": 8, "RESUME": True})
    assert "Log:" not in str(caught.value)
