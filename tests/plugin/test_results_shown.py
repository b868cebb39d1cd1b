"""The panel's slider hides on the map alone: report, export, time series and corrections take all that was found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from osgeo import gdal
from qgis import processing
from qgis.core import QgsProcessingFeatureSourceDefinition, QgsProject, QgsRasterLayer, QgsVectorLayer

from debris_qgis.gui.results_layers import RunLayers
from debris_qgis.results.fields import decide, ensure_fields
from debris_qgis.results.runs import runs_of
from debris_qgis.results.shown import own_filter

from .conftest import RecordingFeedback
from .test_report import text_of

HIGH = 0.99


@pytest.fixture
def layers(run, project):
    """The run in the project, with two decisions."""
    found = [QgsVectorLayer(run["DETECTIONS"], "detections", "ogr"), QgsRasterLayer(run["MASK"], "mask")]
    project.addMapLayers(found)
    ensure_fields(found[0])
    decide(found[0], 1, "accepted")
    decide(found[0], 2, "rejected")
    return found


def slide(project, probability=HIGH):
    """What the panel's slider does."""
    (found,) = runs_of(project)
    RunLayers(found, project).show_from(probability)


def ran(name, **parameters):
    feedback = RecordingFeedback()
    return processing.run(f"debris:{name}", parameters, feedback=feedback), feedback


def export(layer, folder, **values):
    parameters = {"DETECTIONS": layer.id(), "FOLDER": str(folder), "FORMATS": [0], "DECISIONS": 3, "STAC": False}
    return ran("export", **{**parameters, **values})[0]["COUNT"]


def test_a_report_says_what_was_found(layers, project, out):
    slide(project)
    assert layers[0].featureCount() == 0
    ran("report", DETECTIONS=layers[0].id(), MASK=layers[1].id(), DECISIONS=3, PDF=str(out / "report.pdf"))
    words = re.sub(r"\s+", " ", text_of(out / "report.pdf"))
    assert "4 detection(s) of suspected debris" in words
    assert "No suspected debris was found" not in words
    assert layers[0].subsetString() == '"max_prob" >= 0.989999'


def test_an_export_holds_what_was_found(layers, project, out):
    slide(project)
    assert export(layers[0], out) == 4
    (path,) = out.glob("*.gpkg")
    assert gdal.OpenEx(str(path), gdal.OF_VECTOR).GetLayer(0).GetFeatureCount() == 4


def test_a_filter_of_the_persons_own_goes_on_counting(layers, project, out, tmp_path):
    layers[0].setSubsetString('"n_pixels" >= 4')
    slide(project)
    assert layers[0].featureCount() == 0
    # Saved with the project, it is told apart by whoever opens that.
    assert project.write(str(tmp_path / "p.qgz"))
    project.clear()
    assert project.read(str(tmp_path / "p.qgz"))
    (layer,) = project.mapLayersByName("detections")
    assert export(layer, out) == 3
    # What the person sets after the slider is theirs.
    layer.setSubsetString('"n_pixels" >= 6')
    assert own_filter(layer) == '"n_pixels" >= 6'
    assert export(layer, out) == 2


def test_only_what_is_selected_is_exported_where_that_is_asked_for(layers, project, out):
    slide(project, 0.5)
    layers[0].selectByIds([1, 3])
    selected = QgsProcessingFeatureSourceDefinition(layers[0].id(), True)
    assert export(layers[0], out, DETECTIONS=selected) == 2


def test_a_layer_that_is_in_no_project_is_taken_as_it_is(run, out):
    layer = QgsVectorLayer(run["DETECTIONS"], "detections", "ogr")
    assert export(layer, out, DETECTIONS=layer) == 4
    assert export(layer, out, DETECTIONS=run["DETECTIONS"]) == 4


def test_dates_are_counted_whole(layers, project, out):
    slide(project)
    table = out / "dates.csv"
    ran("overtime", DETECTIONS=[layers[0].id()], MASKS=[layers[1].id()], OUTPUT="memory:", TABLE=str(table))
    # The one that was rejected does not count.
    assert ",3," in Path(table).read_text(encoding="utf-8").splitlines()[1]


def test_corrections_are_all_taken(layers, project):
    slide(project)
    found, _ = ran("corrections", DETECTIONS=[layers[0].id()], OUTPUT="memory:")
    assert (found["ACCEPTED"], found["REJECTED"]) == (1, 1)


def test_the_projects_own_layers_stay_as_they_are(layers, project, out):
    slide(project)
    before = set(QgsProject.instance().mapLayers())
    export(layers[0], out)
    assert set(QgsProject.instance().mapLayers()) == before
