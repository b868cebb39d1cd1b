"""Results as the user interface gets them: in a task of its own, styled, grouped, whatever the files are called."""

import shutil
import time
from pathlib import Path

import pytest
from qgis import processing
from qgis.core import (
    QgsApplication,
    QgsLayerTreeRegistryBridge,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingOutputLayerDefinition,
    QgsRasterLayer,
)

from debris_qgis.styling import MARK

from .conftest import RecordingFeedback


@pytest.fixture
def context(project):
    context = QgsProcessingContext()
    context.setProject(project)
    yield context
    # pytest keeps a fixture's value beyond the end of QGIS, which layers do not survive.
    context.temporaryLayerStore().removeAllMapLayers()


@pytest.fixture
def load(toy_model, context):
    """Runs debris:detect and loads its mask and detections into the project."""

    def run(source, **values):
        parameters = {
            "INPUT": source,
            "MODEL": toy_model,
            **dict.fromkeys(("MASK", "DETECTIONS"), "TEMPORARY_OUTPUT"),
            **values,
        }
        return processing.runAndLoadResults("debris:detect", parameters, feedback=RecordingFeedback(), context=context)

    return run


def test_the_dialogs_way_in_a_thread_of_its_own(scene, toy_model, project, context):
    """A project's layer as input, a task in the background, results loaded when it has ended; QGIS stays alive."""
    from processing.gui.Postprocessing import handleAlgorithmResults

    layer = QgsRasterLayer(scene, "my scene")
    project.addMapLayer(layer)
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("debris:detect")
    destinations = {
        name: QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project)
        for name in ("MASK", "PROBABILITY", "DETECTIONS")
    }
    parameters = {"INPUT": layer.id(), "MODEL": toy_model, **destinations}
    assert algorithm.checkParameterValues(parameters, context) == (True, "")
    assert context.layersToLoadOnCompletion() == {}
    feedback, answers, turns = RecordingFeedback(), [], 0
    task = QgsProcessingAlgRunnerTask(algorithm, parameters, context, feedback)
    task.executed.connect(lambda ok, results: answers.append((ok, results)))
    QgsApplication.taskManager().addTask(task)
    deadline = time.monotonic() + 60
    while not answers and time.monotonic() < deadline:
        QgsApplication.processEvents()
        turns += 1
        time.sleep(0.01)
    assert answers
    assert answers[0][0], feedback.errors
    assert answers[0][1]["DETECTION_COUNT"] == 3
    # The engine takes seconds: had it run here, the event loop would have stood still.
    assert turns > 20
    assert handleAlgorithmResults(algorithm, context, feedback, parameters=parameters)
    group = project.layerTreeRoot().findGroup("scene")
    assert [node.layer().name() for node in group.findLayers()] == [
        "Detections",
        "Marine debris mask",
        "Probability of debris",
    ]


def test_the_order_holds_where_qgis_puts_new_layers_into_the_group_itself(load, scene, project):
    """As its window does once a layer of the group is the current one."""
    group = project.layerTreeRoot().addGroup("scene")
    bridge = project.layerTreeRegistryBridge()
    bridge.setLayerInsertionPoint(QgsLayerTreeRegistryBridge.InsertionPoint(group, 0))
    try:
        load(scene, PROBABILITY="TEMPORARY_OUTPUT")
    finally:
        bridge.setLayerInsertionPoint(QgsLayerTreeRegistryBridge.InsertionPoint(project.layerTreeRoot(), 0))
    assert [node.layer().name() for node in group.findLayers()] == [
        "Detections",
        "Marine debris mask",
        "Probability of debris",
    ]


def test_the_group_goes_into_the_one_set_for_results(load, scene, project):
    from processing.core.ProcessingConfig import ProcessingConfig

    ProcessingConfig.setSettingValue(ProcessingConfig.RESULTS_GROUP_NAME, "Results")
    try:
        load(scene)
    finally:
        ProcessingConfig.setSettingValue(ProcessingConfig.RESULTS_GROUP_NAME, "")
    results = project.layerTreeRoot().findGroup("Results")
    assert len(results.findGroup("scene").findLayers()) == 2


def test_names_with_spaces_and_letters_of_any_language(load, scene, tmp_path, project):
    folder = tmp_path / "Müll & Meer, 海"
    folder.mkdir()
    source = str(shutil.copy(scene, folder / "été (1).tif"))
    result = load(source, MASK=str(folder / "máscara 1.0.tif"), DETECTIONS=str(folder / "détections.geojson"))
    assert result["DETECTION_COUNT"] == 3
    assert (folder / "máscara 1.0.qml").is_file()
    assert [layer.isValid() for layer in project.mapLayers().values()] == [True, True]


def test_results_of_one_name_do_not_take_each_others_style(load, scene, tmp_path, project):
    load(scene, MASK=str(tmp_path / "result.tif"), DETECTIONS=str(tmp_path / "result.gpkg"))
    assert "paletted" in (tmp_path / "result.qml").read_text()
    kinds = {layer.customProperty("debris/kind"): layer.renderer().type() for layer in project.mapLayers().values()}
    assert kinds == {"mask": "paletted", "detections": "graduatedSymbol"}


def test_a_style_that_a_person_saved_stays(load, scene, project):
    """Detections named like the scene lie beside it, and its own style is called as theirs would be."""
    own = QgsRasterLayer(scene, "scene")
    own.setOpacity(0.25)
    style = Path(scene).with_suffix(".qml")
    message, saved = own.saveNamedStyle(str(style))
    assert saved, message
    before = style.read_bytes()
    load(scene, DETECTIONS=str(Path(scene).with_suffix(".gpkg")))
    assert style.read_bytes() == before
    assert QgsRasterLayer(scene, "scene").opacity() == 0.25
    (layer,) = project.mapLayersByName("Detections")
    assert layer.renderer().classAttribute() == "mean_prob"


@pytest.mark.parametrize("ending", ["gpkg", "geojson"])
def test_no_style_is_written_that_the_scene_would_take(load, scene, ending):
    load(scene, DETECTIONS=str(Path(scene).with_suffix(f".{ending}")))
    assert not Path(scene).with_suffix(".qml").exists()


def test_a_style_of_the_plugins_own_is_written_anew(load, scene, tmp_path):
    mask, style = tmp_path / "m.tif", tmp_path / "m.qml"
    load(scene, MASK=str(mask))
    ours = style.read_bytes()
    assert MARK.encode() in ours
    assert QgsRasterLayer(str(mask), "m").renderer().type() == "paletted"
    style.write_bytes(ours + b"<!-- of an older version -->")
    load(scene, MASK=str(mask))
    assert style.read_bytes() == ours


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "shp", "fgb"])
def test_every_vector_format_is_loaded_and_styled(load, scene, tmp_path, project, ending):
    result = load(scene, DETECTIONS=str(tmp_path / f"d.{ending}"))
    assert result["DETECTIONS"] == str(tmp_path / f"d.{ending}")
    (layer,) = project.mapLayersByName("Detections")
    assert layer.featureCount() == 3
    assert layer.renderer().classAttribute() == "mean_prob"


def test_a_picture_from_a_service_is_refused(toy_model, out):
    layer = QgsRasterLayer("type=xyz&url=file:///nowhere/{z}/{x}/{y}.png&zmax=1&zmin=0", "background map", "wms")
    assert layer.isValid()
    with pytest.raises(QgsProcessingException, match="background map is a layer of the kind wms, not a raster file"):
        processing.run(
            "debris:detect",
            {"INPUT": layer, "MODEL": toy_model, "MASK": str(out / "mask.tif")},
            feedback=RecordingFeedback(),
        )
    assert list(Path(out).iterdir()) == []
