"""The results panel in QGIS's window: registered, shown, taken away; its buttons open the algorithms."""

from __future__ import annotations

import pytest
from qgis.core import QgsApplication, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtWidgets import QDialog

from debris_qgis.gui.results_entry import ResultsEntry
from debris_qgis.results.fields import decide, ensure_fields

from .results_data import write_run


@pytest.fixture
def entry(qgis_iface, project, tmp_path):
    run = write_run(tmp_path)
    for name, kind in (("DETECTIONS", QgsVectorLayer), ("MASK", QgsRasterLayer), ("PROBABILITY", QgsRasterLayer)):
        project.addMapLayer(kind(run[name], name.lower()))
    entry = ResultsEntry(qgis_iface)
    yield entry
    entry.remove()
    QgsApplication.processEvents()


@pytest.fixture
def dialogs(monkeypatch):
    """What algorithm dialogs would be opened with; the dialogs themselves wait for a person."""
    from qgis import processing

    opened = []
    monkeypatch.setattr(processing, "execAlgorithmDialog", lambda name, values: opened.append((name, values)))
    return opened


def test_the_panel_is_hidden_until_asked_for(entry):
    assert entry.panel.run is not None
    assert not entry.panel.isVisible()
    assert entry.action.isCheckable()


@pytest.mark.parametrize(("button", "algorithm"), [("report", "debris:report"), ("export", "debris:export")])
def test_buttons_open_algorithms_with_the_runs_layers(entry, dialogs, project, button, algorithm):
    getattr(entry.panel.controls, button).click()
    ((name, values),) = dialogs
    assert name == algorithm
    assert values["DETECTIONS"] == entry.panel.run.detections.id()
    assert values["MASK"] == entry.panel.run.mask.id()
    known = QgsApplication.processingRegistry().createAlgorithmById(algorithm)
    assert set(values) <= {definition.name() for definition in known.parameterDefinitions()}


def test_the_dates_button_takes_every_run(entry, dialogs):
    entry.panel.controls.over_time.click()
    ((name, values),) = dialogs
    assert name == "debris:overtime"
    assert values["DETECTIONS"] == [run.detections.id() for run in entry.panel.runs]
    assert values["MASKS"] == [run.mask.id() for run in entry.panel.runs]


def test_one_button_leads_from_decisions_to_train_model(entry, dialogs, project):
    entry.panel.controls.corrections.click()
    assert dialogs == []
    layer = entry.panel.run.detections
    ensure_fields(layer)
    decide(layer, 1, "accepted")
    decide(layer, 2, "rejected")
    entry.panel.controls.corrections.click()
    (labels,) = [found for found in project.mapLayers().values() if "labels" in found.name()]
    assert labels.featureCount() == 4
    ((name, values),) = dialogs
    assert name == "debris:train"
    known = QgsApplication.processingRegistry().createAlgorithmById(name)
    assert set(values) <= {definition.name() for definition in known.parameterDefinitions()}
    assert values["LABELS"] == [labels.id()]


def test_severity_is_asked_in_a_dialog(entry, monkeypatch):
    shown = []
    monkeypatch.setattr(QDialog, "exec", lambda dialog: shown.append(dialog.windowTitle()) or 0)
    entry.panel.controls.severity.click()
    assert shown == ["Levels of severity"]
