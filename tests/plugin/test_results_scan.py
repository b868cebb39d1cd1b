"""Reading a run's rasters in the background, which a person may cancel where QGIS shows what it is busy with."""

from __future__ import annotations

import threading

import pytest
from osgeo import gdal
from qgis.core import QgsApplication, QgsCoordinateReferenceSystem
from qgis.PyQt import sip

from debris_qgis.gui import results_scan
from debris_qgis.gui.results_panel import ResultsPanel
from debris_qgis.gui.results_scan import Scans, ScanTask
from debris_qgis.results.runs import runs_of

from .panel_driver import load, wait
from .results_data import write_run


@pytest.fixture
def held(monkeypatch):
    """Reading a mask waits until this is set."""
    go_on, really = threading.Event(), results_scan.areas_of
    monkeypatch.setattr(results_scan, "areas_of", lambda *mask: (go_on.wait(20), really(*mask))[1])
    yield go_on
    go_on.set()


@pytest.fixture
def panel(window, project, tmp_path, held):
    load(project, write_run(tmp_path))
    panel = ResultsPanel(window.canvas, window, project)
    window.panels.append(panel)
    return panel


def tasks():
    return [task for task in QgsApplication.taskManager().tasks() if task.description().startswith("Reading the")]


def cancel(held):
    """As by the cross beside the task in QGIS."""
    wait(lambda: len(tasks()) == 1)
    tasks()[0].cancel()
    held.set()
    wait(lambda: not tasks())


def test_areas_are_those_of_the_crs_that_the_mask_was_given_in_qgis(window, project, tmp_path):
    run = write_run(tmp_path)
    mask = gdal.Open(run["MASK"], gdal.GA_Update)
    mask.SetProjection("")
    mask.FlushCache()
    load(project, run)
    runs_of(project)[0].mask.setCrs(QgsCoordinateReferenceSystem("EPSG:32630"))
    panel = ResultsPanel(window.canvas, window, project)
    window.panels.append(panel)
    wait(lambda: panel.scan is not None)
    assert "Observed: 0.85 km² (85%)" in panel.controls.summary.text()


def test_what_was_cancelled_is_read_when_the_scene_is_chosen_anew(panel, held):
    cancel(held)
    assert panel.scan is None
    assert "cancelled: choose the scene again" in panel.controls.hint.text()
    # What a person does with the only entry of a list.
    panel.controls.runs.activated.emit(0)
    wait(lambda: panel.scan is not None)
    assert "cancelled" not in panel.controls.hint.text()
    assert "Observed: 0.85 km²" in panel.controls.summary.text()


def test_other_scenes_can_be_chosen_after_cancelling(panel, held, project, tmp_path):
    cancel(held)
    other = tmp_path / "other"
    other.mkdir()
    load(project, write_run(other, tags={"SCENE": "S2B_20200101T000000", "MODEL_SHA256": "cd" * 32}))
    wait(lambda: panel.controls.runs.count() == 2)
    for number in (1, 0):
        panel.controls.runs.setCurrentIndex(number)
        wait(lambda: panel.scan is not None)


def test_one_that_was_given_up_says_nothing_of_the_next(panel, held, project, tmp_path):
    # Python's half of a task ends with the last reference, and could say nothing then.
    given_up = panel._scans._task
    other = tmp_path / "other"
    other.mkdir()
    load(project, write_run(other, tags={"SCENE": "S2B_20200101T000000", "MODEL_SHA256": "cd" * 32}))
    wait(lambda: panel.controls.runs.count() == 2)
    panel.controls.runs.setCurrentIndex(1 - panel.controls.runs.currentIndex())
    held.set()
    wait(lambda: not tasks())
    assert given_up is not panel._scans._task
    assert panel.scan is not None
    assert "cancelled" not in panel.controls.hint.text()


def test_the_panel_can_be_taken_away_after_cancelling(panel, held, window):
    cancel(held)
    window.panels.remove(panel)
    panel.close_down()


def test_the_panel_can_be_taken_away_while_reading(panel, held, window):
    wait(lambda: len(tasks()) == 1)
    window.panels.remove(panel)
    panel.close_down()
    held.set()
    wait(lambda: not tasks())
    assert panel.run is None


def test_a_task_that_qgis_has_deleted_can_be_given_up(project, tmp_path):
    load(project, write_run(tmp_path))
    (run,) = runs_of(project)
    scans = Scans(lambda key, scan: None)
    scans._task = ScanTask(run, scans._ended)
    sip.delete(scans._task)
    scans.cancel()
    assert not scans.busy
