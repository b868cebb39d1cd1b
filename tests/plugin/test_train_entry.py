"""Train Model in QGIS's window: registered, shown, taken away; Detect opens with the model just trained."""

from __future__ import annotations

import pytest
from qgis.core import QgsApplication

from debris_qgis.gui.training_entry import TrainingEntry


@pytest.fixture
def entry(qgis_iface, monkeypatch):
    # pytest-qgis's interface has neither of them.
    for name in ("registerApplicationExitBlocker", "unregisterApplicationExitBlocker"):
        monkeypatch.setattr(type(qgis_iface), name, lambda self, blocker: None, raising=False)
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

    opened = []
    # The algorithm's dialog itself waits for a person.
    monkeypatch.setattr(processing, "execAlgorithmDialog", lambda *call: opened.append(call))
    entry.show()
    entry.dialog.use_in_detect.emit(toy_model)
    ((name, values),) = opened
    assert name == "debris:detect"
    assert values == {"MODEL": toy_model}
    known = QgsApplication.processingRegistry().createAlgorithmById(name)
    assert set(values) <= {definition.name() for definition in known.parameterDefinitions()}


def test_the_qgis_window_has_what_the_desk_asks_for():
    """Tests stand in for them elsewhere; the real interface must have them."""
    from qgis.gui import QgisInterface

    for name in ("registerApplicationExitBlocker", "unregisterApplicationExitBlocker", "messageBar", "mainWindow"):
        assert callable(getattr(QgisInterface, name))
