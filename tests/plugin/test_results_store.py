"""What a person keeps of a run says as much of its scene, model and time as what the run found itself."""

from __future__ import annotations

import pytest
from qgis.core import QgsField, QgsVectorLayer

from debris_qgis.compat import TEXT
from debris_qgis.results.persistence import time_of
from debris_qgis.results.probability_index import ProbabilityIndex
from debris_qgis.results.provenance import key_among, of_detections, of_raster
from debris_qgis.results.runs import runs_of
from debris_qgis.results.store import DetectionStore

from .panel_driver import load, stored
from .results_data import BOXES, TAGS, write_detections, write_run

OF_PRODUCT = {
    "LEVEL": "L2A",
    "SENSING_TIME": "2019-04-24T07:36:19Z",
    "PRODUCT_ID": TAGS["SCENE"],
    "PROCESSING_BASELINE": "02.11",
}
SAID = {
    "scene": TAGS["SCENE"],
    "model": TAGS["MODEL"],
    "model_hash": TAGS["MODEL_SHA256"],
    "level": "L2A",
    "sensing_time": "2019-04-24T07:36:19Z",
    "product_id": TAGS["SCENE"],
    "baseline": "02.11",
    "time_begin": "2019-04-24T07:36:19Z",
    "time_end": "2019-04-24T07:36:19Z",
}


def product_run(folder, boxes):
    """A run over a product, whose table has the fields for what is known of it."""
    run = write_run(folder, boxes=boxes, tags=OF_PRODUCT)
    table = QgsVectorLayer(run["DETECTIONS"], "d", "ogr")
    fields = [QgsField(name, TEXT, "", 80) for name in ("level", "sensing_time", "product_id", "baseline")]
    assert table.dataProvider().addAttributes(fields)
    return run


def keep_one(run):
    """Decide on the patch below the run's threshold; its number in the file."""
    store = DetectionStore(run.detections, run.provenance)
    store.set_candidates(ProbabilityIndex(run.probability.source()).candidates(0.1, run.threshold))
    store.decide(store.stored, "accepted")
    return store.stored


@pytest.mark.parametrize("boxes", [(), BOXES])
def test_what_is_kept_says_where_it_is_from(project, tmp_path, boxes):
    """Also of a table that was empty, where no other row tells."""
    paths = product_run(tmp_path, boxes)
    load(project, paths)
    (run,) = runs_of(project)
    number = keep_one(run)
    row = stored(paths)[number]
    assert {name: row[name] for name in SAID} == SAID
    assert row["threshold"] == pytest.approx(0.1)


def test_without_rasters_the_other_rows_tell(tmp_path):
    path = write_detections(tmp_path / "d.gpkg", BOXES)
    store = DetectionStore(QgsVectorLayer(path, "d", "ogr"))
    index = ProbabilityIndex(write_run(tmp_path, name="other")["PROBABILITY"])
    store.set_candidates(index.candidates(0.1, 0.3))
    store.decide(store.stored, "accepted")
    assert stored({"DETECTIONS": path})[5]["scene"] == TAGS["SCENE"]


def test_a_run_keeps_its_rasters_when_all_rows_are_below_its_threshold(project, tmp_path):
    """What was kept names the threshold that it was outlined at, which is not the run's."""
    paths = product_run(tmp_path, ())
    load(project, paths)
    (run,) = runs_of(project)
    keep_one(run)
    (again,) = runs_of(project)
    assert (again.mask, again.probability) == (run.mask, run.probability)
    assert again.threshold == pytest.approx(0.3)
    table = QgsVectorLayer(paths["DETECTIONS"], "d", "ogr")
    assert time_of(table, [of_raster(paths["MASK"])])[1].threshold == pytest.approx(0.3)


def test_a_run_at_a_lower_threshold_is_another_one(tmp_path):
    """It found what reaches the higher threshold too, which nobody needs to keep by hand."""
    table = QgsVectorLayer(write_detections(tmp_path / "d.gpkg", BOXES, {"THRESHOLD": "0.3"}), "d", "ogr")
    own = of_detections(table)
    assert key_among(table, own, [(*own.key[:2], 0.5), own.key]) == own.key
    assert key_among(table, own, [(*own.key[:2], 0.5)]) is None
    assert key_among(table, own, [("another scene", own.key[1], 0.99)]) is None
