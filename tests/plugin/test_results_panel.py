"""The results panel, driven as a person does: rank, filter, step, choose another threshold."""

from __future__ import annotations

import os

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsFeatureRequest,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest

from benchmarks.results_panel import DETECTIONS, measure, write_large
from debris_qgis.gui.results_layers import threshold_renderer
from debris_qgis.gui.results_summary import SeverityDialog
from debris_qgis.results.severity import DEFAULT, SETTING, stored_levels

from .panel_driver import choose, current, drawn, load, orange, shown, stored, wait
from .results_data import ORIGIN, PIXEL, TAGS, clouded, write_raster, write_run


def test_detections_are_ranked_by_what_matters(panel):
    assert shown(panel) == ["1", "3", "4", "2"]
    choose(panel.controls.ranking, "Area")
    assert shown(panel) == ["1", "3", "4", "2"]
    choose(panel.controls.ranking, "Number")
    assert shown(panel) == ["1", "2", "3", "4"]


def test_the_summary_says_what_was_observed(panel):
    text = panel.controls.summary.text()
    for phrase in (
        "Severity: moderate", "4 suspected, 1,900 m² at probability 0.30 and above; 0 decided",
        "Observed: 0.85 km² (85%)", "land 45,000 m²", "cloud or shadow 6,000 m²", "no data 0.10 km²",
        "2019-04-24 07:36 UTC",
    ):  # fmt: skip
        assert phrase in text


def test_stepping_zooms_to_each_detection(panel, window, run):
    panel.step(1)
    assert current(panel) == "1"
    col, row = 10, 12
    first = QgsRectangle(ORIGIN[0] + col * PIXEL, ORIGIN[1] - (row + 2) * PIXEL, ORIGIN[0] + (col + 4) * PIXEL,
                         ORIGIN[1] - row * PIXEL)  # fmt: skip
    assert window.canvas.extent().contains(first)
    assert window.canvas.extent().center().distance(first.center()) < PIXEL
    panel.step(1)
    assert current(panel) == "3"
    assert not window.canvas.extent().contains(first)
    panel.step(-1)
    panel.step(-1)
    assert current(panel) == "1"


def test_the_slider_changes_mask_and_detections(panel, window, project):
    mask, detections = panel.run.mask, panel.run.detections
    own = orange(drawn([mask]))
    assert own > 0
    panel.controls.slider.setValue(600)
    assert panel.controls.probability.value() == 0.6
    assert detections.featureCount() == 2
    assert shown(panel) == ["1", "3"]
    live = panel.layers.made("threshold")
    assert live.name() == "Marine debris: pixels at 0.60 and above"
    # The mask's own debris gives way to that of the threshold: fewer pixels are shown than before.
    assert orange(drawn([mask])) == 0
    assert 0 < orange(drawn([live])) < own
    assert "at probability 0.60" in panel.controls.summary.text()
    # 8 pixels of 0.8, one of them 0.95, and 6 of 0.6 with one of 0.7.
    assert "2 suspected, 1,400 m²" in panel.controls.summary.text()
    panel.controls.reset.click()
    assert detections.featureCount() == 4
    assert orange(drawn([mask])) == own
    assert not project.layerTreeRoot().findLayer(live.id()).isVisible()


def test_below_the_runs_threshold_there_are_candidates_that_can_be_kept(panel, run):
    panel.controls.slider.setValue(100)
    wait(lambda: panel.model.rowCount() == 5)
    assert shown(panel) == ["1", "3", "4", "2", "new"]
    assert panel.layers.made("candidates").featureCount() == 1
    assert len(stored(run)) == 4
    panel._select(4)
    panel.decide("unsure")
    row = stored(run)[5]
    assert row["decision"] == "unsure"
    assert row["n_pixels"] == 9
    assert row["area_m2"] == pytest.approx(900)
    assert row["max_prob"] == pytest.approx(0.2)
    assert row["threshold"] == pytest.approx(0.1)
    assert row["scene"] == TAGS["SCENE"]
    assert row["lat"] == pytest.approx(5.4199, abs=1e-3)
    assert shown(panel) == ["1", "3", "4", "2", "5"]
    assert panel.layers.made("candidates").featureCount() == 0


def test_a_probability_with_a_second_band_is_the_runs_too(run, project, open_panel, tmp_path):
    """Where the model tells other floating matter there is a band for it; the slider shows the first."""
    two = gdal.GetDriverByName("GTiff").Create(str(tmp_path / "two.tif"), 100, 100, 2, gdal.GDT_Float32)
    one = gdal.Open(run["PROBABILITY"])
    two.SetGeoTransform(one.GetGeoTransform())
    two.SetProjection(one.GetProjection())
    two.SetMetadata(one.GetMetadata())
    two.GetRasterBand(1).WriteArray(one.ReadAsArray())
    two.GetRasterBand(2).WriteArray(np.ones((100, 100), dtype=np.float32))
    del two
    load(project, {**run, "PROBABILITY": str(tmp_path / "two.tif")})
    panel = open_panel()
    assert panel.run.probability is not None
    panel.show_from(0.6)
    assert panel.scan.index.pixels(0.6) == 14
    assert panel.layers.made("threshold").renderer().band() == 1


def test_a_filter_of_ones_own_is_kept(panel):
    panel.run.detections.setSubsetString('"n_pixels" > 1')
    panel.show_from(0.6)
    assert '"n_pixels" > 1' in panel.run.detections.subsetString()
    panel.show_from(0.3)
    assert panel.run.detections.subsetString() == '"n_pixels" > 1'


def test_a_table_in_memory_is_looked_through_too(project, open_panel, run):
    source = QgsVectorLayer(run["DETECTIONS"], "detections", "ogr")
    memory = source.materialize(QgsFeatureRequest())
    project.addMapLayer(memory)
    panel = open_panel()
    panel.show_from(0.6)
    assert shown(panel) == ["1", "3"]
    panel.step(1)
    panel.decide("accepted")
    panel.show_from(0.3)
    assert shown(panel) == ["1", "3", "4", "2"]
    assert {feature["id"]: feature["decision"] for feature in memory.getFeatures()}[1] == "accepted"


def test_a_key_switches_colour_and_index(panel, window, project):
    def visible(kind):
        layer = panel.layers.made(kind)
        return layer is not None and project.layerTreeRoot().findLayer(layer.id()).isVisible()

    window.canvas.setFocus()
    QTest.keyClick(window.canvas, Qt.Key.Key_C)
    assert visible("colour") and not visible("fdi")
    assert not project.layerTreeRoot().findLayer(panel.run.probability.id()).isVisible()
    colour = drawn([panel.layers.made("colour")])
    assert colour.reshape(-1, 3).std(axis=0).max() > 3
    QTest.keyClick(window.canvas, Qt.Key.Key_C)
    assert visible("fdi") and not visible("colour")
    assert panel.layers.made("fdi").dataProvider().bandStatistics(1).maximumValue > 0.01
    QTest.keyClick(window.canvas, Qt.Key.Key_C)
    assert not visible("fdi")
    assert project.layerTreeRoot().findLayer(panel.run.probability.id()).isVisible()


def test_scenes_are_ranked_and_come_and_go_with_the_project(panel, project, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    tags = {"SCENE": "S2B_20200101T000000", "MODEL_SHA256": "cd" * 32}
    load(project, write_run(other, boxes=((20, 20, 30, 30, 0.5, 0.6),), tags=tags))
    wait(lambda: panel.controls.runs.count() == 2)
    assert panel.controls.runs.itemText(0).startswith("S2B_20200101T000000: 1 detection(s), 90,000 m², high")
    assert panel.run.provenance.scene == TAGS["SCENE"]
    panel.controls.runs.setCurrentIndex(0)
    assert shown(panel) == ["1"]
    project.removeMapLayer(panel.run.detections.id())
    wait(lambda: panel.controls.runs.count() == 1)
    assert shown(panel) == ["1", "3", "4", "2"]


def test_an_empty_project_and_an_empty_table(project, open_panel, tmp_path):
    panel = open_panel()
    assert "No detections in this project yet" in panel.controls.summary.text()
    for action in (panel.next_view, lambda: panel.step(1), lambda: panel.decide("accepted"), panel.write_note):
        action()
    load(project, write_run(tmp_path, boxes=()))
    wait(lambda: panel.run is not None and panel.scan is not None)
    assert "Severity: none" in panel.controls.summary.text()
    assert "0 suspected" in panel.controls.summary.text()


def test_a_scene_that_was_not_observed_is_not_clean(project, open_panel, tmp_path):
    panel = open_panel()
    load(project, clouded(write_run(tmp_path, boxes=())))
    wait(lambda: panel.run is not None and panel.scan is not None)
    text = panel.controls.summary.text()
    assert "Severity: not known" in text
    assert "Nothing was observed in this scene" in text
    assert "Not observed: cloud or shadow 1.00 km²" in text
    assert panel.controls.runs.itemText(0).endswith(": 0 detection(s)")


def test_levels_of_severity_can_be_changed(panel):
    from qgis.core import QgsSettings

    dialog = SeverityDialog(panel)
    dialog.rows[0][1].setValue(4)
    dialog.accept()
    try:
        panel._say()
        assert "Severity: critical" in panel.controls.summary.text()
        dialog.restore()
        dialog.accept()
        assert stored_levels() == DEFAULT
    finally:
        QgsSettings().remove(SETTING)


def test_the_threshold_itself_is_shown(tmp_path, window, project):
    probability = np.zeros((10, 10), dtype=np.float32)
    probability[2, 2], probability[5, 5], probability[7, 7] = 0.35, 0.3499, 0.36
    layer = QgsRasterLayer(write_raster(tmp_path / "p.tif", probability, np.nan), "p")
    layer.setRenderer(threshold_renderer(layer, float(np.float32(0.35))))
    block = layer.renderer().block(1, layer.extent(), 10, 10)
    opaque = {(row, col) for row in range(10) for col in range(10) if block.color(row, col) >> 24}
    assert opaque == {(2, 2), (7, 7)}


@pytest.mark.slow
def test_fifty_thousand_detections_stay_fluid(tmp_path, project, open_panel, window):
    """A step, a decision and a turn of the slider on a 4000 x 4000 scene.

    `make bench` prints the times, which are to be 0.2 s and 1 s; here a busy machine gets five times as long, which
    still is far less than going through all detections would take.
    """
    load(project, write_large(tmp_path, max(DETECTIONS)))
    panel = open_panel()
    assert panel.model.rowCount() == max(DETECTIONS)
    times = measure(panel, window.canvas)
    assert times["step"] < 1, times
    assert times["decision"] < 1, times
    assert times["slider"] < 5, times
    assert times["slider, drawn"] < 5, times


def test_pictures_of_the_panel(panel, window, tmp_path):
    """The window, drawn, is not empty; DEBRIS_PICTURES names a folder to keep the picture in, for looking at."""
    panel.step(1)
    panel.decide("accepted")
    window.canvas.setLayers([panel.run.detections, panel.run.mask, panel.run.probability])
    window.canvas.waitWhileRendering()
    wait(lambda: not window.canvas.isDrawing())
    folder = os.environ.get("DEBRIS_PICTURES", str(tmp_path))
    path = os.path.join(folder, "results_panel.png")
    assert window.grab().save(path)
    assert os.path.getsize(path) > 20_000
    for button in panel.controls.buttons.values():
        # Each text fits its button.
        needed = button.fontMetrics().boundingRect(button.text()).width()
        assert button.width() >= needed, button.text()
        assert window.rect().contains(button.mapTo(window, QPoint(0, 0)))
    assert QgsProject.instance().mapLayers()
