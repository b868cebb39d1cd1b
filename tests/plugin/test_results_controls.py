"""The panel's widgets on a small screen, and for those who do not see them."""

from __future__ import annotations

import pytest
from qgis.core import QgsApplication
from qgis.gui import QgsScrollArea
from qgis.PyQt.QtCore import QPoint
from qgis.PyQt.QtWidgets import QAbstractButton, QLabel

from debris_qgis.gui.results_controls import ResultsControls

NAMELESS = ("runs", "slider", "probability", "reset", "ranking", "filter", "table", "note")
"""Widgets that bear no text which says what they are for."""


@pytest.fixture
def controls(qgis_app):
    controls = ResultsControls()
    controls.summary.setText("<br>".join(["Some words on what was observed, and what was not, and why"] * 4))
    yield controls
    controls.close()
    controls.deleteLater()
    QgsApplication.processEvents()


def show(controls, width, height):
    controls.resize(width, height)
    controls.show()
    for _ in range(20):
        QgsApplication.processEvents()
    assert (controls.width(), controls.height()) == (width, height)


def top_of(widget, inside):
    return widget.mapTo(inside, QPoint(0, 0)).y()


def test_a_small_screen_shows_it_whole_by_scrolling(controls):
    """Of 960 x 540 QGIS's own bars leave a panel some 420; nothing is squeezed, nothing lies on something else."""
    show(controls, 380, 420)
    area = controls.findChild(QgsScrollArea)
    inside = area.widget()
    assert controls.summary.height() >= controls.summary.heightForWidth(controls.summary.width())
    assert controls.table.height() >= 4 * controls.table.verticalHeader().defaultSectionSize()
    assert top_of(controls.table, inside) + controls.table.height() <= top_of(controls.buttons["next"], inside)
    for button in controls.findChildren(QAbstractButton):
        area.ensureWidgetVisible(button)
        top = top_of(button, area.viewport())
        assert 0 <= top <= area.viewport().height() - button.height(), button.text()


def test_there_is_nothing_to_scroll_where_there_is_room(controls):
    show(controls, 500, 800)
    bars = controls.findChild(QgsScrollArea)
    assert bars.verticalScrollBar().maximum() == bars.horizontalScrollBar().maximum() == 0
    assert controls.table.height() > 250


def test_whatever_bears_no_text_has_a_name(controls):
    assert [name for name in NAMELESS if not getattr(controls, name).accessibleName()] == []
    buddies = {label.text(): label.buddy() for label in controls.findChildren(QLabel) if label.buddy()}
    assert buddies == {
        "Probability from": controls.probability, "Rank by": controls.ranking, "Show": controls.filter,
    }  # fmt: skip
