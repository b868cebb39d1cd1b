"""Decisions and notes in the results panel: made by keys and buttons, kept, there again when the project is opened."""

from __future__ import annotations

import zipfile

import pytest
from qgis.core import (
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest

from .panel_driver import choose, current, load, shown, stored, wait
from .results_data import write_run


def test_keys_decide_in_the_panel_and_over_the_map(panel, window, run):
    panel.step(1)
    for widget, key in (
        (panel.controls.table, Qt.Key.Key_A),
        (window.canvas, Qt.Key.Key_R),
        (window.canvas, Qt.Key.Key_U),
        (window.canvas, Qt.Key.Key_P),
    ):
        widget.setFocus()
        QTest.keyClick(widget, key)
    assert {number: row["decision"] for number, row in stored(run).items()} == {
        1: "accepted", 3: "rejected", 4: "unsure", 2: None,
    }  # fmt: skip
    assert current(panel) == "4"
    assert "3 decided" in panel.controls.summary.text()
    # What is rejected counts no more.
    assert "3 suspected" in panel.controls.summary.text()


def test_letters_in_a_note_are_letters(panel, window, run):
    panel.step(1)
    panel.controls.note.setFocus()
    QTest.keyClicks(panel.controls.note, "a rope, unsure")
    QTest.keyClick(panel.controls.note, Qt.Key.Key_Return)
    row = stored(run)[1]
    assert row["note"] == "a rope, unsure"
    assert row["decision"] is None
    panel.step(1)
    assert panel.controls.note.text() == ""


@pytest.mark.parametrize("button", ["accepted", "next"])
def test_a_note_is_kept_where_buttons_take_no_focus(panel, run, button):
    """As on macOS: the field does not learn that its text is finished before another detection is current."""
    panel.step(1)
    clicked = panel.controls.buttons[button]
    clicked.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    panel.controls.note.setFocus()
    QTest.keyClicks(panel.controls.note, "a rope")
    QTest.mouseClick(clicked, Qt.MouseButton.LeftButton)
    assert panel.controls.note.hasFocus()
    assert current(panel) == "3"
    assert panel.controls.note.text() == ""
    rows = stored(run)
    assert (rows[1]["note"], rows[3]["note"]) == ("a rope", None)
    assert rows[1]["decision"] == ("accepted" if button == "accepted" else None)


def test_a_note_is_kept_when_another_scene_is_chosen(panel, run, project, tmp_path):
    other = write_run(tmp_path, tags={"SCENE": "S2B_20200101T000000", "MODEL_SHA256": "cd" * 32})
    load(project, other)
    wait(lambda: panel.controls.runs.count() == 2)
    panel.step(1)
    panel.controls.note.setText("a rope")
    panel.controls.runs.setCurrentIndex(1 - panel.controls.runs.currentIndex())
    assert panel.run.provenance.scene == "S2B_20200101T000000"
    assert panel.controls.note.text() == ""
    panel.step(1)
    assert stored(run)[1]["note"] == "a rope"
    assert "note" not in stored(other)[1]


def test_a_note_on_a_candidate_is_kept_with_its_decision(panel, run):
    panel.controls.slider.setValue(100)
    wait(lambda: panel.model.rowCount() == 5)
    panel._select(4)
    panel.controls.note.setText("a rope")
    panel.decide("unsure")
    assert (stored(run)[5]["note"], stored(run)[5]["decision"]) == ("a rope", "unsure")


def test_a_decision_can_be_taken_back_and_decisions_filter(panel, run):
    panel.step(1)
    panel.decide("accepted")
    choose(panel.controls.filter, "")
    assert shown(panel) == ["3", "4", "2"]
    choose(panel.controls.filter, "accepted")
    assert shown(panel) == ["1"]
    panel.step(1)
    panel.decide(None)
    assert stored(run)[1]["decision"] is None
    assert shown(panel) == []


def test_looking_alone_changes_no_file(panel, run):
    before = set(stored(run)[1])
    panel.step(1)
    panel.show_from(0.5)
    panel.step(1)
    assert set(stored(run)[1]) == before


def test_everything_is_there_after_the_project_was_closed(panel, run, project, window, open_panel, tmp_path):
    panel.step(1)
    panel.decide("accepted")
    panel.controls.note.setText("Treibnetz, größer")
    panel.write_note()
    panel.decide("rejected")
    panel.show_from(0.5)
    project.write(str(tmp_path / "project.qgz"))
    window.panels.remove(panel)
    panel.close_down()
    panel.deleteLater()
    project.clear()
    assert project.read(str(tmp_path / "project.qgz"))
    again = open_panel()
    assert again.layers.shown_from == 0.5
    assert again.controls.slider.value() == 500
    assert shown(again) == ["1", "3", "4"]
    marks = [again.model.data(again.model.index(place, 3)) for place in range(3)]
    assert marks == ["✓ accepted", "✗ rejected", ""]
    again.step(1)
    again.step(1)
    assert again.controls.note.text() == "Treibnetz, größer"
    assert again.layers.made("threshold") is not None
    assert again.run.detections.featureCount() == 3
    again.show_from(0.3)
    assert again.run.detections.subsetString() == ""
    assert len(shown(again)) == 4


def test_a_table_that_cannot_be_written_says_so(project, open_panel, tmp_path, run):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as bundle:
        bundle.write(run["DETECTIONS"], "detections.gpkg")
    layer = QgsVectorLayer(f"/vsizip/{tmp_path}/all.zip/detections.gpkg", "detections")
    assert layer.isValid()
    project.addMapLayer(layer)
    panel = open_panel()
    panel.step(1)
    panel.decide("accepted")
    assert "cannot take decisions" in panel.controls.hint.text()
    assert panel.controls.hint.isVisibleTo(panel)
