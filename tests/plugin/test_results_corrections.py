"""Corrections become labels that Train Model takes."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from qgis import processing
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from debris_qgis.gui.results_labels import make_labels, said_of, training_parameters
from debris_qgis.results.corrections import labels_from
from debris_qgis.results.fields import decide, ensure_fields
from debris_qgis.results.runs import runs_of

from .conftest import ENGINE_PYTHON, ROOT, RecordingFeedback
from .results_data import ORIGIN, PIXEL, TAGS, write_run


@pytest.fixture
def decided(run):
    layer = QgsVectorLayer(run["DETECTIONS"], "detections", "ogr")
    ensure_fields(layer)
    decide(layer, 1, "accepted", "Netz, größer")
    decide(layer, 2, "rejected")
    decide(layer, 3, "unsure")
    return layer.source()


def table(source):
    """A layer that lives as long as its test: a fixture's value outlives QGIS, which layers do not survive."""
    layer = QgsVectorLayer(source, "detections", "ogr")
    assert layer.isValid()
    return layer


def drawn(values=(9, None), field="kind"):
    """Two squares by hand, one with a class number and one without."""
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32630&field={field}:int", "drawn", "memory")
    features = []
    for number, value in enumerate(values):
        west, south = ORIGIN[0] + 300 + 200 * number, ORIGIN[1] - 300
        feature = QgsFeature(layer.fields())
        feature.setAttributes([value])
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(west, south, west + 100, south + 50)))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    return layer


def correct(layers, folder, **values):
    feedback = RecordingFeedback()
    parameters = {"DETECTIONS": layers, "OUTPUT": str(folder / "labels.gpkg"), **values}
    result = processing.run("debris:corrections", parameters, feedback=feedback)
    return result, feedback


def labels_of(path):
    layer = QgsVectorLayer(str(path), "labels", "ogr")
    assert layer.isValid()
    return layer, list(layer.getFeatures())


def test_decisions_become_classes(decided, out):
    result, _ = correct([table(decided)], out)
    assert (result["ACCEPTED"], result["REJECTED"], result["DRAWN_COUNT"]) == (1, 1, 0)
    layer, rows = labels_of(out / "labels.gpkg")
    assert layer.crs() == table(decided).crs()
    assert [(row["class"], row["source"]) for row in rows] == [
        (7, "surroundings"), (7, "surroundings"), (7, "rejected"), (1, "accepted"),
    ]  # fmt: skip
    assert rows[-1]["note"] == "Netz, größer"
    assert {row["scene"] for row in rows} == {TAGS["SCENE"]}
    assert {row["label"] for row in rows} == {"Marine water", "Marine debris"}
    accepted = next(feature for feature in table(decided).getFeatures() if feature["id"] == 1)
    assert rows[-1].geometry().equals(accepted.geometry())


def test_surroundings_keep_away_from_every_detection(tmp_path, out):
    """Also from those that nobody has decided on: they may well be debris."""
    boxes = ((10, 12, 2, 2, 0.8, 0.9), (15, 12, 2, 2, 0.7, 0.8))
    layer = QgsVectorLayer(write_run(tmp_path, boxes=boxes)["DETECTIONS"], "detections", "ogr")
    ensure_fields(layer)
    decide(layer, 1, "accepted")
    correct([layer], out, RING=80, GAP=20)
    _, rows = labels_of(out / "labels.gpkg")
    ring = next(row.geometry() for row in rows if row["source"] == "surroundings")
    for feature in layer.getFeatures():
        assert ring.distance(feature.geometry()) >= 19.0
    assert ring.area() > 20_000
    assert ring.isGeosValid()


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", "EPSG:3857"])
def test_gap_and_ring_are_in_metres_in_any_crs(crs):
    """At 58° north a degree of longitude is half as long as one of latitude, and Mercator's metre half a metre."""
    utm, square = QgsCoordinateReferenceSystem("EPSG:32633"), QgsRectangle(500_000, 6_430_000, 500_010, 6_430_010)
    layer = QgsVectorLayer(f"Polygon?crs={crs}&field=id:int&field=decision:string", "detections", "memory")
    geometry = QgsGeometry.fromRect(square)
    geometry.transform(QgsCoordinateTransform(utm, layer.crs(), QgsCoordinateTransformContext()))
    feature = QgsFeature(layer.fields())
    feature.setAttributes([1, "accepted"])
    feature.setGeometry(geometry)
    layer.dataProvider().addFeature(feature)
    layer.updateExtents()
    ring = next(label.geometry for label in labels_from([layer], 7, 60, 20, utm) if label.source == "surroundings")
    # Round corners of few pieces are cut a little short.
    assert ring.distance(QgsGeometry.fromRect(square)) == pytest.approx(20, abs=0.5)
    box = ring.boundingBox()
    assert (box.width(), box.height()) == pytest.approx((170, 170), abs=1)


def test_what_is_rejected_is_what_one_says(decided, out):
    correct([table(decided)], out, REJECTED_CLASS=8, RING=0)
    _, rows = labels_of(out / "labels.gpkg")
    assert [(row["class"], row["label"]) for row in rows] == [(9, "Foam"), (1, "Marine debris")]


def test_polygons_drawn_by_hand_lie_on_top(decided, out):
    result, _ = correct([table(decided)], out, DRAWN=drawn(), DRAWN_FIELD="kind", DRAWN_CLASS=0)
    _, rows = labels_of(out / "labels.gpkg")
    assert [(row["class"], row["source"]) for row in rows][-2:] == [(9, "drawn"), (1, "drawn")]
    assert result["DRAWN_COUNT"] == 2


def test_hand_drawn_polygons_alone_are_enough(out):
    result, feedback = correct([], out, DRAWN=drawn((1, 1)), DRAWN_FIELD="kind")
    assert result["DRAWN_COUNT"] == 2
    assert any("All labels are of one class" in line for line in feedback.lines)


def test_scenes_of_different_zones_are_joined_in_degrees(decided, tmp_path, out):
    other = tmp_path / "other"
    other.mkdir()
    second = QgsVectorLayer(write_run(other, epsg=32631)["DETECTIONS"], "detections", "ogr")
    ensure_fields(second)
    decide(second, 4, "rejected")
    result, _ = correct([table(decided), second], out)
    layer, rows = labels_of(out / "labels.gpkg")
    assert layer.crs().authid() == "EPSG:4326"
    assert (result["ACCEPTED"], result["REJECTED"]) == (1, 2)
    assert all(row.geometry().isGeosValid() for row in rows)


def saved(layer, path):
    """A memory layer as a file: exceptions keep what an algorithm was given beyond the end of QGIS."""
    options = QgsVectorFileWriter.SaveVectorOptions()
    QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), QgsCoordinateTransformContext(), options)
    return str(path)


def test_what_cannot_be_learnt_from_says_why(run, decided, out, tmp_path):
    fresh = saved(QgsVectorLayer("Polygon?crs=EPSG:32630&field=a:int", "plain", "memory"), tmp_path / "plain.gpkg")
    strange = saved(drawn((99, 1)), tmp_path / "strange.gpkg")
    with pytest.raises(QgsProcessingException, match="plain is no table of detections"):
        correct([fresh], out)
    with pytest.raises(QgsProcessingException, match="the field kind holds 99: classes are whole numbers from 1 to 16"):
        correct([decided], out, DRAWN=strange, DRAWN_FIELD="kind")
    for fid in (1, 2, 3):
        decide(table(decided), fid, None)
    with pytest.raises(QgsProcessingException, match="No detection was accepted or rejected yet"):
        correct([decided], out)


def test_one_button_makes_labels_and_fills_in_train_model(run, decided, project):
    for name in ("DETECTIONS",):
        project.addMapLayer(QgsVectorLayer(run[name], name.lower(), "ogr"))
    (found,) = runs_of(project)
    found.detections.setSubsetString('"max_prob" > 0.9')
    labels = make_labels(found, project)
    # A filter that is only for looking leaves out no decision.
    assert [row["source"] for row in labels.getFeatures()].count("rejected") == 1
    assert labels.id() in project.mapLayers()
    parameters = training_parameters(found, labels)
    assert parameters["SOURCE"] == "rasters"
    assert parameters["LABELS"] == [labels.id()]
    assert parameters["LABEL_FIELD"] == "class"
    assert said_of(labels).endswith("labels, file detections_labels.gpkg.")


def test_labels_that_somebody_drew_into_are_kept(run, decided, project):
    """Also while they are being edited; the new ones go beside them, and that is said."""
    project.addMapLayer(QgsVectorLayer(run["DETECTIONS"], "detections", "ogr"))
    (found,) = runs_of(project)
    labels = make_labels(found, project)
    count = labels.featureCount()
    by_hand = QgsFeature(labels.fields())
    by_hand.setGeometry(QgsGeometry.fromRect(QgsRectangle(*ORIGIN, ORIGIN[0] + 50, ORIGIN[1] + 50)))
    labels.dataProvider().addFeatures([by_hand])
    labels.startEditing()
    again = make_labels(found, project)
    assert labels.id() in project.mapLayers()
    assert labels.isEditable()
    assert labels.rollBack()
    assert len(labels_of(labels.source())[1]) == count + 1
    assert again.featureCount() == count
    assert again.name() == labels.name() + " 2"
    assert "detections_labels_2.gpkg. Labels made before are kept" in said_of(again)
    assert make_labels(found, project).source().split("|")[0].endswith("detections_labels_3.gpkg")


def test_the_engine_reads_the_labels_on_the_scene(run, decided, out):
    """The engine's own reader of labels puts them where the detections are."""
    correct([table(decided)], out, REJECTED_CLASS=8, RING=60)
    script = (
        "import json, sys\n"
        "import numpy as np\n"
        "import rasterio\n"
        "from engine.labels import LabelSource, labels_on_grid\n"
        "from engine.grid import Grid\n"
        "with rasterio.open(sys.argv[1]) as d:\n"
        "    grid = Grid(height=d.height, width=d.width, transform=d.transform, crs=d.crs)\n"
        "labels = labels_on_grid(LabelSource(sys.argv[2], 'class'), grid)\n"
        "print(json.dumps({int(v): np.argwhere(labels == v).tolist() for v in np.unique(labels)}))\n"
    )
    python = os.environ.get("DEBRIS_ENGINE_PYTHON", str(ENGINE_PYTHON))
    done = subprocess.run(
        [python, "-c", script, run["SCENE"], str(out / "labels.gpkg")],
        check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    places = {int(value): cells for value, cells in json.loads(done.stdout.splitlines()[-1]).items()}
    assert sorted(map(tuple, places[1])) == [(row, col) for row in (12, 13) for col in range(10, 14)]
    assert [tuple(cell) for cell in places[9]] == [(30, 60)]
    assert len(places[7]) > 100
    assert PIXEL == 10
