"""Single letters decide only where a person means them to."""

from __future__ import annotations

import pytest
from qgis.gui import QgsMapToolEdit, QgsMapToolPan
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDockWidget

from debris_qgis.results.fields import DECISION

from .panel_driver import current, load, stored, wait
from .results_data import write_run


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path)


@pytest.fixture
def panel(run, project, open_panel):
    load(project, run)
    panel = open_panel()
    panel.step(1)
    return panel


def press(widget, key):
    widget.setFocus()
    QTest.keyClick(widget, key)


def decisions(run):
    """What was decided, by number; nothing where the file has no field for it yet."""
    return {number: row[DECISION] for number, row in stored(run).items() if row.get(DECISION)}


def test_a_panel_that_is_closed_takes_no_keys(panel, window, run):
    panel.close()
    press(window.canvas, Qt.Key.Key_U)
    assert decisions(run) == {}
    panel.show()
    press(window.canvas, Qt.Key.Key_U)
    assert decisions(run) == {1: "unsure"}


def test_a_panel_behind_another_tab_takes_no_keys(panel, window, run):
    other = QDockWidget("Another", window)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, other)
    window.tabifyDockWidget(panel, other)
    # Raising does nothing before the tabs are laid out.
    wait(lambda: other.raise_() or not panel.isUserVisible())
    press(window.canvas, Qt.Key.Key_U)
    assert decisions(run) == {}
    panel.raise_()
    wait(panel.isUserVisible)
    press(window.canvas, Qt.Key.Key_U)
    assert decisions(run) == {1: "unsure"}


class Drawing(QgsMapToolEdit):
    """A tool that draws features, and notes which keys reach it."""

    def __init__(self, canvas):
        super().__init__(canvas)
        self.keys = []

    def keyPressEvent(self, event):  # noqa: N802
        self.keys.append(event.key())


def test_keys_go_to_the_tool_that_draws(panel, window, run):
    panel.decide("accepted")
    panel.step(-1)
    tool, pan = Drawing(window.canvas), QgsMapToolPan(window.canvas)
    window.canvas.setMapTool(tool)
    for key in (Qt.Key.Key_Backspace, Qt.Key.Key_R):
        press(window.canvas, key)
    assert decisions(run) == {1: "accepted"}
    assert tool.keys == [Qt.Key.Key_Backspace, Qt.Key.Key_R]
    # In the panel itself they are meant for it, whatever tool the map has.
    press(panel.controls.table, Qt.Key.Key_R)
    assert decisions(run) == {1: "rejected"}
    window.canvas.setMapTool(pan)
    press(window.canvas, Qt.Key.Key_U)
    assert decisions(run) == {1: "rejected", 3: "unsure"}
    window.canvas.unsetMapTool(pan)


@pytest.mark.parametrize("name", ["runs", "ranking", "filter", "probability", "note"])
def test_where_letters_are_typed_they_decide_nothing(panel, run, name):
    panel.decide("accepted")
    panel.step(-1)
    widget = getattr(panel.controls, name)
    for key in (Qt.Key.Key_A, Qt.Key.Key_R, Qt.Key.Key_Backspace):
        press(widget, key)
        assert widget.hasFocus()
    assert decisions(run) == {1: "accepted"}
    assert current(panel) == "1"


def test_a_letter_chooses_an_entry_in_a_list(panel):
    choose = panel.controls.ranking
    press(choose, Qt.Key.Key_A)
    assert choose.currentText() == "Area"
    choose.showPopup()
    QTest.keyClick(choose.view(), Qt.Key.Key_N)
    choose.hidePopup()
    assert panel.model.rowCount() == 4


@pytest.mark.parametrize("name", ["table", "slider", "advance", "export", "reset"])
def test_elsewhere_in_the_panel_they_decide(panel, run, name):
    press(getattr(panel.controls, name), Qt.Key.Key_A)
    assert decisions(run) == {1: "accepted"}
