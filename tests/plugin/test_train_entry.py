"""Train Model in QGIS's window: registered, shown, taken away; Detect opens with the model just trained."""

from __future__ import annotations

import pytest
from qgis.core import QgsApplication
from qgis.PyQt.QtWidgets import QDialog

from debris_qgis.gui.training_entry import TrainingEntry


@pytest.fixture
def entry(qgis_iface):
    entry = TrainingEntry(qgis_iface)
    yield entry
    entry.remove()
    QgsApplication.processEvents()


def test_the_dialog_is_made_once_and_shown_again(entry):
    assert entry.dialog is None
    entry.action.trigger()
    first = entry.dialog
    assert first.isVisible()
    first.close()
    entry.action.trigger()
    assert entry.dialog is first
    assert first.isVisible()
    assert not first.isModal()


def test_detect_opens_with_the_model(entry, monkeypatch, toy_model):
    from qgis import processing

    opened, window = [], QDialog()
    # The algorithm's own dialog needs a whole QGIS around it, which pytest-qgis's interface is not.
    monkeypatch.setattr(processing, "createAlgorithmDialog", lambda *call: opened.append(call) or window)
    entry.show()
    entry.dialog.use_in_detect.emit(toy_model)
    assert window.isVisible()
    assert not window.isModal()
    window.close()
    ((name, values),) = opened
    assert name == "debris:detect"
    assert values == {"MODEL": toy_model}
    known = QgsApplication.processingRegistry().createAlgorithmById(name)
    assert set(values) <= {definition.name() for definition in known.parameterDefinitions()}
