"""Two thresholds: what the likeliest pixel of a group reaches, and from which pixels belong to it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from osgeo import gdal
from qgis import processing
from qgis.core import QgsVectorLayer

from debris_qgis.results import probability_index
from debris_qgis.results.probability_index import ProbabilityIndex
from debris_qgis.results.provenance import accuracy_of, of_detections, of_raster
from debris_qgis.results.runs import runs_of
from debris_qgis.results.thresholds import brief, explained

from .conftest import B8, RecordingFeedback
from .panel_driver import drawn, load, orange, shown, stored, wait
from .results_data import write_detections, write_raster, write_run

PLAIN, FAIR, FAINT, FAINTER = 0.12, 0.103, 0.095, 0.0915
"""Reflectance in B8 that the toy model takes for debris with 0.98, 0.65, 0.27 and 0.15."""


@pytest.fixture
def sea(make_raster, water):
    """A plain pixel with a fair and a faint one beside it; a fair one with a faint and a fainter one; all in rows."""
    array = water(40, 60)
    array[B8, 10, 10:13] = FAINT, PLAIN, FAIR
    array[B8, 20, 30:33] = FAIR, FAINT, FAINTER
    return make_raster(array)


@pytest.fixture
def detect(toy_model, out):
    """Runs Detect Marine Debris by the two thresholds; what it wrote, and what it said."""

    def run(source, threshold, extent, name=""):
        feedback, ending = RecordingFeedback(), {"MASK": "tif", "PROBABILITY": "tif", "DETECTIONS": "gpkg"}
        parameters = {"INPUT": source, "MODEL": toy_model, "THRESHOLD": threshold, "EXTENT_THRESHOLD": extent}
        parameters.update({key: str(out / f"{name}{key.lower()}.{value}") for key, value in ending.items()})
        return processing.run("debris:detect", parameters, feedback=feedback), feedback.lines

    return run


def test_detect_takes_in_the_rim_of_what_is_plain_and_nothing_that_is_faint_throughout(detect, sea):
    found, lines = detect(sea, 0.9, 0.2)
    mask = gdal.Open(found["MASK"])
    assert mask.ReadAsArray()[10, 9:14].tolist() == [0, 1, 1, 1, 0]
    assert (found["DETECTION_COUNT"], found["DEBRIS_AREA_M2"]) == (1, 300)
    assert any("1 detection(s), 3 debris pixel(s) at threshold 0.9, groups from 0.2 on (toy)" in line for line in lines)
    own = of_raster(found["MASK"])
    assert (own.threshold, own.extent_threshold) == (0.9, 0.2)
    assert of_detections(QgsVectorLayer(found["DETECTIONS"], "d", "ogr")).key == own.key


def test_without_an_extent_threshold_groups_reach_as_far_as_at_the_models_own_threshold(detect, sea):
    found, lines = detect(sea, 0.9, None)
    assert found["DEBRIS_AREA_M2"] == 200
    assert any("2 debris pixel(s) at threshold 0.9, groups from 0.5 on (toy)" in line for line in lines)
    assert of_raster(found["PROBABILITY"]).extent_threshold == 0.5


def test_one_above_the_threshold_is_taken_for_the_threshold_and_that_is_said(detect, sea):
    found, lines = detect(sea, 0.5, 0.7)
    assert found["DEBRIS_AREA_M2"] == 300
    assert any("The extent threshold, 0.7, is above the threshold: it was taken to be 0.5" in line for line in lines)


@pytest.fixture
def panel(detect, sea, project, open_panel):
    """The panel on a run by 0.9 and 0.2."""
    load(project, detect(sea, 0.9, 0.2)[0])
    return open_panel()


def test_the_slider_shows_whole_groups(panel):
    summary = panel.controls.summary
    assert "1 suspected, 300 m² at probability 0.90" in summary.text()
    assert "Outlines take in pixels from probability 0.20 on" in summary.text()
    # Higher: the one pixel that reaches it stands for its group.
    panel.show_from(0.95)
    assert "1 suspected, 300 m² at probability 0.95" in summary.text()
    live = panel.layers.made("threshold")
    assert live.name() == "Marine debris: pixels at 0.95 and above"
    assert orange(drawn([live])) > 0
    panel.show_from(0.99)
    assert "0 suspected, 0 m²" in summary.text()
    # Lower: a group that the run did not find, as far as the run's own groups reach.
    panel.show_from(0.5)
    wait(lambda: shown(panel) == ["1", "new"])
    assert "2 suspected, 500 m² at probability 0.50" in summary.text()
    # Lower than the run's groups reach, the further ones reach farther.
    panel.show_from(0.125)
    wait(lambda: "2 suspected, 600 m²" in summary.text())
    assert "from probability 0.20 on, the dotted ones from 0.12" in summary.text()


def test_a_group_below_the_threshold_can_be_kept(panel, project):
    panel.show_from(0.5)
    wait(lambda: panel.model.rowCount() == 2)
    panel._select(1)
    panel.decide("accepted")
    row = stored({"DETECTIONS": panel.run.detections.source().split("|")[0]})[2]
    assert (row["n_pixels"], row["area_m2"]) == (2, pytest.approx(200))
    assert row["max_prob"] == pytest.approx(0.646, abs=0.001)
    assert row["threshold"] == pytest.approx(0.5)
    # At any other probability it is no patch of its own again.
    for probability in (0.3, 0.6):
        panel.show_from(probability)
        panel._outline()
        assert shown(panel) == ["1", "2"]
    (again,) = runs_of(project)
    assert (again.linked, again.extent, again.mask) == (True, 0.2, panel.run.mask)


def test_patches_are_those_that_detect_finds_at_that_threshold(detect, make_raster, water):
    array = water(60, 60)
    array[B8] = np.random.default_rng(0).uniform(0.06, 0.112, (60, 60))
    scene = make_raster(array)
    high, low = detect(scene, 0.9, 0.3, "high_")[0], detect(scene, 0.6, 0.3, "low_")[0]
    index = ProbabilityIndex(high["PROBABILITY"])
    patches = index.candidates(0.6, 0.9, 0.3)
    expected = [row for row in stored(low).values() if row["max_prob"] < 0.9]
    assert len(patches) > 20 < len(stored(high))
    assert len(patches) == len(expected) == len(stored(low)) - len(stored(high))

    def told(number, area, probability):
        return number, round(area), round(probability, 5)

    assert sorted(told(patch.n_pixels, patch.area_m2, patch.max_prob) for patch in patches) == sorted(
        told(row["n_pixels"], row["area_m2"], row["max_prob"]) for row in expected
    )


def test_a_part_of_what_was_found_is_no_patch_where_its_faint_pixels_were_too_many(
    tmp_path, project, open_panel, monkeypatch
):
    """Of a scene that is faintly likely all over the index keeps the likelier half."""
    probability = np.full((100, 100), 0.01, dtype=np.float32)
    probability[50:90] = np.linspace(0.03, 0.4, 4000, dtype=np.float32).reshape(40, 100)
    probability[10, 10:15] = 0.97, 0.21, 0.21, 0.21, 0.5
    probability[20, 10:12] = 0.6, 0.5
    mask = np.zeros((100, 100), dtype=np.uint8)
    mask[10, 10:15] = 1
    tags = {"THRESHOLD": "0.9", "EXTENT_THRESHOLD": "0.2"}
    monkeypatch.setattr(probability_index, "MOST_PIXELS", 3000)
    load(project, {
        "MASK": write_raster(tmp_path / "mask.tif", mask, 255, tags),
        "PROBABILITY": write_raster(tmp_path / "probability.tif", probability, np.nan, tags),
        "DETECTIONS": write_detections(tmp_path / "d.gpkg", [(10, 10, 5, 1, 0.42, 0.97)], tags),
    })  # fmt: skip
    panel = open_panel()
    assert panel.scan.index.lowest > 0.21
    panel.show_from(0.45)
    wait(lambda: shown(panel) == ["1", "new"])
    assert "2 suspected, 700 m²" in panel.controls.summary.text()


def test_older_rasters_do_not_say_it_and_their_pixels_count_as_they_did(tmp_path, project, open_panel):
    paths = write_run(tmp_path)
    assert of_raster(paths["MASK"]).extent_threshold is None
    load(project, paths)
    panel = open_panel()
    assert (panel.run.linked, panel.run.extent) == (False, 0.3)
    panel.show_from(0.6)
    assert "2 suspected, 1,400 m²" in panel.controls.summary.text()
    assert "Outlines" not in panel.controls.summary.text()
    assert panel.layers.made("threshold").name() == "Marine debris: pixels at 0.60 and above"


def test_report_and_export_state_both(tmp_path, out):
    run = write_run(tmp_path, tags={"THRESHOLD": "0.3", "EXTENT_THRESHOLD": "0.1"})
    layers = {name: run[name] for name in ("DETECTIONS", "MASK")}
    processing.run("debris:report", {**layers, "HTML": str(out / "report.html")}, feedback=RecordingFeedback())
    page = re.sub(r"<[^>]+>", " ", (out / "report.html").read_text(encoding="utf-8"))
    assert "0.3 (probability that the likeliest pixel of each group reaches)" in page
    assert "0.1 (probability from which pixels belong to such a group)" in page
    wanted = {**layers, "FOLDER": str(out), "NAME": "found", "FORMATS": [0], "STAC": True}
    processing.run("debris:export", wanted, feedback=RecordingFeedback())
    readme = (out / "found_README.txt").read_text(encoding="utf-8")
    assert "- threshold: 0.3 (" in readme
    assert "- extent threshold: 0.1 (" in readme
    item = next(path for path in out.glob("*.json") if "stac_version" in path.read_text(encoding="utf-8"))
    properties = json.loads(item.read_text(encoding="utf-8"))["properties"]
    assert ", threshold 0.3, extent threshold 0.1; " in properties["processing:lineage"]


def test_words_for_one_threshold_and_for_two():
    assert (brief(0.96, 0.15), brief(0.96, 0.96), brief(0.96, None)) == ("0.96, groups from 0.15 on", "0.96", "0.96")
    assert explained(None, None) == [("threshold", "unknown")]
    assert explained(0.5, 0.5) == [("threshold", "0.5 (probability from which a pixel counts as debris)")]
    # A table alone does not tell how its groups came about, but that holds of either kind.
    ((_, text),) = explained(0.5, None)
    assert text == "0.5 (probability that the likeliest pixel of each detection reaches)"


def test_accuracy_holds_for_the_extent_threshold_that_was_measured():
    card = {"threshold": 0.6, "metrics": {"data": "tiles", "debris": {"f1": 0.7}}}
    assert accuracy_of(card, 0.6, 0.6) == accuracy_of(card, 0.6) == "On tiles: F1 0.70."
    assert "measured with groups from 0.6 on, not from 0.3" in accuracy_of(card, 0.6, 0.3)
    assert "measured at the threshold 0.6; it does not hold at 0.9" in accuracy_of(card, 0.9, 0.6)
