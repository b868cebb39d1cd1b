"""Detect in a real QGIS, with the real engine: results, layers, batch, models, cancel, crashes and bad input."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis import processing
from qgis.core import (
    NULL,
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterRasterLayer,
    QgsProperty,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QEventLoop

from .conftest import B8, RecordingFeedback


def read(path):
    return gdal.Open(str(path)).ReadAsArray()


def left(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.fixture
def detect(toy_model, out):
    """Runs debris:detect into the folder `out`."""

    def run(source, feedback=None, **values):
        parameters = {
            "INPUT": source,
            "MODEL": toy_model,
            "MASK": str(out / "mask.tif"),
            "PROBABILITY": str(out / "probability.tif"),
            "DETECTIONS": str(out / "detections.gpkg"),
            **values,
        }
        return processing.run("debris:detect", parameters, feedback=feedback or RecordingFeedback())

    return run


def test_results_agree_with_each_other_and_the_input(detect, scene, out):
    result = detect(scene)
    source, mask = QgsRasterLayer(scene, "scene"), QgsRasterLayer(result["MASK"], "mask")
    assert mask.crs() == source.crs()
    assert mask.extent() == source.extent()
    assert (mask.width(), mask.height()) == (source.width(), source.height())
    detections = QgsVectorLayer(result["DETECTIONS"], "detections", "ogr")
    areas = [feature["area_m2"] for feature in detections.getFeatures()]
    assert result["DETECTION_COUNT"] == len(areas) == 3
    assert sum(areas) == result["DEBRIS_AREA_M2"] == (read(result["MASK"]) == 1).sum() * 100
    assert all(feature.geometry().isGeosValid() for feature in detections.getFeatures())
    assert result["OBSERVED_AREA_M2"] == 240000
    assert result["NOT_OBSERVED_AREA_M2"] == 0
    assert left(out) == [
        "detections.gpkg",
        "detections.qml",
        "mask.qml",
        "mask.tif",
        "probability.qml",
        "probability.tif",
    ]


def test_fields(detect, scene):
    layer = QgsVectorLayer(detect(scene)["DETECTIONS"], "d", "ogr")
    names = {field.name() for field in layer.fields()}
    wanted = "id area_m2 n_pixels mean_prob max_prob lon lat fdi ndvi scene model model_hash threshold"
    assert set(wanted.split()) <= names


def test_a_layer_object_is_taken_as_input(detect, scene):
    assert detect(QgsRasterLayer(scene, "layer"))["DETECTION_COUNT"] == 3


@pytest.mark.parametrize("value", ["", NULL, QgsProperty.fromExpression("NULL")], ids=["empty", "NULL", "expression"])
def test_numbers_left_empty_are_those_of_the_model_and_the_file(detect, scene, value):
    result = detect(scene, THRESHOLD=value, EXTENT_THRESHOLD=value, TILE_OVERLAP=value, SCALE=value, OFFSET=value)
    assert (result["DETECTION_COUNT"], result["DEBRIS_AREA_M2"]) == (3, 800)


def test_scripts_get_no_probability_unless_they_ask(scene, toy_model, feedback):
    result = processing.run(
        "debris:detect", {"INPUT": scene, "MODEL": toy_model, "MASK": "TEMPORARY_OUTPUT"}, feedback=feedback
    )
    assert "PROBABILITY" not in result
    assert os.path.exists(result["DETECTIONS"])


def test_extent_in_another_crs(detect, scene):
    # Around the line of five pixels, given in degrees.
    result = detect(scene, EXTENT="500100,500150,599890,599900 [EPSG:32630]")
    assert read(result["MASK"]).shape == (1, 5)
    from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsProject, QgsRectangle

    to = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem("EPSG:32630"), QgsCoordinateReferenceSystem("EPSG:4326"), QgsProject.instance()
    )
    box = to.transformBoundingBox(QgsRectangle(500101, 599891, 500149, 599899))
    text = f"{box.xMinimum()},{box.xMaximum()},{box.yMinimum()},{box.yMaximum()} [EPSG:4326]"
    result = detect(scene, EXTENT=text)
    assert result["DEBRIS_AREA_M2"] == 500


def test_layers_arrive_styled_in_one_group(scene, toy_model, project):
    context = QgsProcessingContext()
    context.setProject(project)
    parameters = {"INPUT": scene, "MODEL": toy_model}
    parameters.update(dict.fromkeys(("MASK", "PROBABILITY", "DETECTIONS"), "TEMPORARY_OUTPUT"))
    processing.runAndLoadResults("debris:detect", parameters, feedback=RecordingFeedback(), context=context)
    QgsApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents)
    group = project.layerTreeRoot().findGroup("scene")
    layers = [node.layer() for node in group.findLayers()]
    assert [layer.name() for layer in layers] == ["Detections", "Marine debris mask", "Probability of debris"]
    assert len(project.layerTreeRoot().findLayers()) == 3
    assert layers[0].renderer().classAttribute() == "mean_prob"
    assert len(layers[1].renderer().classes()) == 6
    assert layers[2].renderer().type() == "singlebandpseudocolor"
    # A second run over the same scene joins the same group.
    processing.runAndLoadResults("debris:detect", parameters, feedback=RecordingFeedback(), context=context)
    assert len(project.layerTreeRoot().findGroups()) == 1
    assert len(group.findLayers()) == 6


def test_styles_beside_the_files_are_used_without_the_plugin(detect, scene):
    result = detect(scene)
    mask = QgsRasterLayer(result["MASK"], "mask")
    labels = {entry.value: (entry.label, entry.color.alpha()) for entry in mask.renderer().classes()}
    assert labels[0][1] == 0
    assert labels[1][0].startswith("Marine debris")
    assert set(labels) == {0, 1, 2, 3, 4, 255}
    assert mask.renderer().nodataColor().alpha() > 0
    # The layer is kept: a renderer dies with its layer, whatever Python still holds.
    probability = QgsRasterLayer(result["PROBABILITY"], "p")
    ramp = probability.renderer().shader().rasterShaderFunction().colorRampItemList()
    assert ramp[0].color.alpha() == 0
    assert ramp[-1].value == 1.0
    detections = QgsVectorLayer(result["DETECTIONS"], "d", "ogr")
    assert detections.renderer().classAttribute() == "mean_prob"


def test_batch(scene, make_raster, water, toy_model, out):
    """The batch interface runs the algorithm once a row with one context; so does this."""
    array = water(30, 30)
    array[B8, 3, 3] = 0.3
    sources = [scene, make_raster(array, name="second.tif")]
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("debris:detect")
    context, found = QgsProcessingContext(), []
    for number, source in enumerate(sources):
        parameters = {
            "INPUT": source,
            "MODEL": toy_model,
            "MASK": str(out / f"{number}.tif"),
            "DETECTIONS": str(out / f"{number}.gpkg"),
        }
        assert algorithm.checkParameterValues(parameters, context)[0]
        results, ok = algorithm.create().run(parameters, context, RecordingFeedback())
        assert ok
        found.append(results["DETECTION_COUNT"])
    assert found == [3, 1]


def test_inside_a_model(scene, toy_model, out):
    """Detect, then a QGIS algorithm on its detections: the outputs chain."""
    model = QgsProcessingModelAlgorithm("debris and centroids")
    model.addModelParameter(QgsProcessingParameterRasterLayer("raster"), QgsProcessingModelParameter("raster"))
    source = QgsProcessingModelChildParameterSource
    child = QgsProcessingModelChildAlgorithm("debris:detect")
    child.setChildId("detect")
    child.addParameterSources("INPUT", [source.fromModelParameter("raster")])
    child.addParameterSources("MODEL", [source.fromStaticValue(toy_model)])
    model.addChildAlgorithm(child)
    centroids = QgsProcessingModelChildAlgorithm("native:centroids")
    centroids.setChildId("centroids")
    centroids.addParameterSources("INPUT", [source.fromChildOutput("detect", "DETECTIONS")])
    output = QgsProcessingModelOutput("points")
    output.setChildId("centroids")
    output.setChildOutputName("OUTPUT")
    centroids.setModelOutputs({"points": output})
    model.addChildAlgorithm(centroids)
    model.initAlgorithm()
    parameters = {"raster": scene, "centroids:points": str(out / "points.gpkg")}
    feedback = RecordingFeedback()
    results, ok = model.create().run(parameters, QgsProcessingContext(), feedback)
    assert ok, feedback.errors
    assert QgsVectorLayer(results["centroids:points"], "points", "ogr").featureCount() == 3


@pytest.fixture
def large(make_raster):
    """A raster that takes the toy model long enough to be interrupted."""
    return make_raster(np.full((11, 3000, 3000), 300, dtype=np.uint16), name="large.tif")


def test_cancel_stops_the_engine_within_two_seconds_and_leaves_no_file(detect, large, out):
    feedback = RecordingFeedback(cancel_above=5)
    stopped, running = [], []
    feedback.canceled.connect(lambda: running.extend(_engines()))
    feedback.canceled.connect(lambda: stopped.append(time.monotonic()))
    result = detect(large, feedback)
    assert time.monotonic() - stopped[0] < 2
    assert len(running) == 1
    assert "MASK" not in result
    assert left(out) == []
    assert _engines() == []


def test_kill_names_the_log_and_leaves_no_file(detect, large, out):
    feedback = RecordingFeedback()

    def kill():
        while feedback.progress() < 5:
            time.sleep(0.05)
        for pid in _engines():
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with pytest.raises(QgsProcessingException, match=r"signal 9") as caught:
        detect(large, feedback)
    killer.join()
    log = Path(re.search(r"Log: (.+\.log)", str(caught.value)).group(1))
    assert log.is_file()
    assert left(out) == []


def _engines():
    """Process ids of the engines that this process has started and that run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if parent == os.getpid() and b"serve" in command:
            found.append(int(folder.name))
    return found


def _bad_input(kind, make_raster, water, tmp_path, toy_model):
    """Parameters that cannot work, and what the one message must say."""
    text = tmp_path / "text.tif"
    text.write_text("not a raster")
    cut, pickled = tmp_path / "cut.safetensors", tmp_path / "pickle.safetensors"
    cut.write_bytes(Path(toy_model).read_bytes()[:5000])
    pickled.write_bytes(b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.")
    good = make_raster(water(20, 20), name="good.tif")
    picture = make_raster(np.full((3, 20, 20), 90, dtype=np.uint8), name="picture.tif", names=None)
    ten = make_raster(water(20, 20)[:10], name="ten.tif", names=None)
    empty = make_raster(np.zeros((11, 20, 20), dtype=np.float32), name="empty.tif")
    rotated = make_raster(water(20, 20), name="rotated.tif", geotransform=(0, 10, 2, 0, 2, -10))
    return {
        "missing file": ({"INPUT": str(tmp_path / "none.tif")}, "There is no raster"),
        "not a raster": ({"INPUT": str(text)}, "is no raster"),
        "picture": ({"INPUT": picture}, "picture made for viewing"),
        "unnamed 10 bands": ({"INPUT": ten}, "10 band"),
        "no data": ({"INPUT": empty}, "nothing was looked at"),
        "rotated": ({"INPUT": rotated}, "rotated"),
        "truncated model": ({"INPUT": good, "MODEL": str(cut)}, "cut short|not a model file"),
        "pickle": ({"INPUT": good, "MODEL": str(pickled)}, "not a model file"),
        "missing model": ({"INPUT": good, "MODEL": str(tmp_path / "none.safetensors")}, "no model file"),
        "no model": ({"INPUT": good, "MODEL": str(text)}, "no model file"),
        "threshold": ({"INPUT": good, "THRESHOLD": 1.5}, "The threshold is 1.5: it must lie between 0 and 1"),
        "extent threshold": ({"INPUT": good, "EXTENT_THRESHOLD": -0.1}, "The extent threshold is -0.1: it must lie"),
        "bands": ({"INPUT": good, "BANDS": "first"}, "B1=1,B2=2"),
        "band number": ({"INPUT": good, "BANDS": "B1=99"}, "11 band"),
        "read-only folder": ({"INPUT": good, "MASK": "/proc/mask.tif"}, "cannot be written to"),
        "picture format": ({"INPUT": good, "MASK": str(tmp_path / "mask.png")}, "MASK: .*png.* not supported"),
        "vector format": ({"INPUT": good, "DETECTIONS": str(tmp_path / "d.kml")}, "DETECTIONS: .*kml.* not supported"),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["missing file", "not a raster", "picture", "unnamed 10 bands", "no data", "rotated", "truncated model", "pickle",
     "missing model", "no model", "threshold", "extent threshold", "bands", "band number", "read-only folder",
     "picture format", "vector format"],
)  # fmt: skip
def test_bad_input_gives_one_clear_message_and_leaves_nothing(
    kind, detect, make_raster, water, tmp_path, toy_model, out
):
    values, message = _bad_input(kind, make_raster, water, tmp_path, toy_model)
    with pytest.raises(QgsProcessingException, match=message) as caught:
        detect(values.pop("INPUT"), **values)
    assert "Traceback" not in str(caught.value)
    assert left(out) == []


def test_a_model_for_other_bands(detect, make_raster, water, engine_python, tmp_path, out):
    model = tmp_path / "b9.safetensors"
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from toy_model import *\n"
        "save(Path(sys.argv[1]), toy_network(), toy_card(('B9', *MARIDA_ORDER[1:])))"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([str(engine_python), "-c", code, str(model), str(root), str(root / "tests" / "engine")], check=True)
    with pytest.raises(QgsProcessingException, match=r"needs B9.*1: B1"):
        detect(make_raster(water(20, 20)), MODEL=str(model))
    assert left(out) == []


def test_no_crs_works_and_areas_are_unknown(detect, make_raster, water):
    array = water(20, 20)
    array[B8, 3, 3] = 0.3
    feedback = RecordingFeedback()
    result = detect(make_raster(array, epsg=None), feedback)
    assert result["DETECTION_COUNT"] == 1
    assert "DEBRIS_AREA_M2" not in result
    assert any("areas are unknown" in line for line in feedback.lines)


def test_where_nothing_was_observed_the_log_does_not_call_it_clean(detect, scene, make_raster):
    land = make_raster(np.zeros((1, 40, 60), dtype=np.uint8), "land.tif", names=None)
    feedback = RecordingFeedback()
    detect(scene, feedback, WATER=land)
    assert any("so whether there is debris in it is not known" in line for line in feedback.lines)


def _areas_and_crs(result):
    mask, found = QgsRasterLayer(result["MASK"], "m"), QgsVectorLayer(result["DETECTIONS"], "d", "ogr")
    return result.get("DEBRIS_AREA_M2"), mask.crs().authid(), found.crs().authid()


def test_a_crs_set_in_qgis_is_that_of_the_scene(detect, make_raster, water, out):
    """What *Set CRS of Layer* does stays in QGIS: the file still has none, or another."""
    array = water(20, 20)
    array[B8, 3, 3] = 0.3
    bare = QgsRasterLayer(make_raster(array, name="bare.tif", epsg=None), "bare")
    bare.setCrs(QgsCoordinateReferenceSystem("EPSG:32630"))
    assert _areas_and_crs(detect(bare)) == (100, "EPSG:32630", "EPSG:32630")
    other = QgsRasterLayer(make_raster(array, name="other.tif"), "other")
    other.setCrs(QgsCoordinateReferenceSystem("EPSG:32631"))
    feedback = RecordingFeedback()
    result = detect(other, feedback, EXTENT="500000,500100,599900,600000 [EPSG:32631]")
    assert _areas_and_crs(result) == (100, "EPSG:32631", "EPSG:32631")
    assert read(result["MASK"]).shape == (10, 10)
    assert any("is taken to have the CRS EPSG:32631." in line for line in feedback.lines)
    own = QgsCoordinateReferenceSystem.fromProj("+proj=laea +lat_0=5 +lon_0=-3 +datum=WGS84 +units=m")
    bare.setCrs(own)
    detect(bare)
    assert QgsRasterLayer(str(out / "mask.tif"), "m").crs().toProj().startswith("+proj=laea +lat_0=5 +lon_0=-3")


def test_what_the_file_says_is_left_to_it(provider, make_raster, water):
    """Nothing is said of the CRS where QGIS knows no more than the file, as of all that is named by its path."""
    algorithm, context = provider.algorithm("detect"), QgsProcessingContext()
    for path in (make_raster(water(20, 20)), make_raster(water(20, 20), name="bare.tif", epsg=None)):
        assert algorithm.prepareAlgorithm({"INPUT": path}, context, RecordingFeedback())
        assert algorithm.scene_request({"INPUT": path}, context)["crs"] is None


def test_outputs_can_be_described_as_json(detect, scene):
    """qgis_process --json prints results: they must be plain numbers and texts."""
    assert json.loads(json.dumps(detect(scene)))["DETECTION_COUNT"] == 3


def test_relative_paths_are_those_of_the_callers_folder(detect, scene, out, monkeypatch):
    monkeypatch.chdir(out.parent)
    result = detect(os.path.basename(scene), MASK="out/mask.tif", DETECTIONS="out/detections.gpkg", PROBABILITY=None)
    assert (result["MASK"], result["DETECTIONS"]) == (str(out / "mask.tif"), str(out / "detections.gpkg"))
    assert result["DETECTION_COUNT"] == 3
    assert left(out) == ["detections.gpkg", "detections.qml", "mask.qml", "mask.tif"]
