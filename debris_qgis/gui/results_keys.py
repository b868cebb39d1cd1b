"""The keys of the results panel: single letters, so they work only where they cannot mean anything else."""

from typing import Callable, List, Mapping

from qgis.gui import QgsDockWidget, QgsMapCanvas, QgsMapTool
from qgis.PyQt.QtCore import QObject, Qt
from qgis.PyQt.QtGui import QKeySequence
from qgis.PyQt.QtWidgets import QAbstractSpinBox, QApplication, QComboBox, QLineEdit

from ..compat import QShortcut

KEYS = {
    "next": ("N", "Next"),
    "previous": ("P", "Previous"),
    "accepted": ("A", "Accept"),
    "rejected": ("R", "Reject"),
    "unsure": ("U", "Unsure"),
    "clear": ("Backspace", "Clear"),
    "view": ("C", "Colour / FDI"),
}
"""What each key does, in the panel and over the map."""
TAKE_LETTERS = (QComboBox, QAbstractSpinBox, QLineEdit)
"""Where letters and Backspace are typed, or choose an entry."""


class Keys(QObject):
    """Shortcuts in a panel and over the map, while the panel is seen.

    Not in all of QGIS: single letters mean other things elsewhere. Not in the panel where one types, and not over the
    map while features are drawn, where Backspace takes the last vertex back.
    """

    def __init__(self, panel: QgsDockWidget, canvas: QgsMapCanvas, actions: Mapping[str, Callable[[], None]]) -> None:
        """`actions` has one for each of KEYS."""
        super().__init__(panel)
        self._panel, self._canvas = panel, canvas
        self._in_panel, self._over_map = _shortcuts(panel, actions), _shortcuts(canvas, actions)
        # What may change whether the keys are wanted.
        self._signals = [panel.visibilityChanged, canvas.mapToolSet, QApplication.instance().focusChanged]
        for signal in self._signals:
            signal.connect(self._fit)
        self._fit()

    def close_down(self) -> None:
        """Let go of map and application."""
        for signal in self._signals:
            signal.disconnect(self._fit)
        for shortcut in self._in_panel + self._over_map:
            shortcut.setEnabled(False)
            shortcut.deleteLater()

    def _fit(self, *_) -> None:
        # A dock behind another tab is visible to Qt, and one that was never shown is visible to QGIS.
        seen = self._panel.isVisible() and self._panel.isUserVisible()
        for shortcut in self._in_panel:
            shortcut.setEnabled(seen and not _takes_letters(QApplication.focusWidget()))
        for shortcut in self._over_map:
            shortcut.setEnabled(seen and not _draws(self._canvas.mapTool()))


def _shortcuts(place, actions) -> List[QShortcut]:
    made = []
    for name, (key, _) in KEYS.items():
        shortcut = QShortcut(QKeySequence(key), place)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(actions[name])
        made.append(shortcut)
    return made


def _takes_letters(widget) -> bool:
    """Whether a widget, or what it is a part of such as an open list of a combo box, takes letters."""
    while widget is not None and not isinstance(widget, TAKE_LETTERS):
        widget = widget.parentWidget()
    return widget is not None


def _draws(tool) -> bool:
    return tool is not None and bool(tool.flags() & QgsMapTool.Flag.EditTool)
