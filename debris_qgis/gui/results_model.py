"""The detections as a table that stays quick however many there are: rows are looked up only when they are seen."""

from typing import Optional

import numpy as np
from qgis.PyQt.QtCore import QAbstractTableModel, QCoreApplication, QModelIndex, Qt
from qgis.PyQt.QtGui import QColor

from ..compat import number_of
from ..results.fields import ACCEPTED, REJECTED, UNSURE
from ..results.store import DetectionStore

COLUMNS = (
    ("No.", "id", "{:.0f}"),
    ("Prob.", "max_prob", "{:.2f}"),
    ("Area m²", "area_m2", "{:,.0f}"),
    ("Decision", None, ""),
    ("Note", None, ""),
    ("Mean", "mean_prob", "{:.2f}"),
    ("Pixels", "n_pixels", "{:.0f}"),
)
DECISION_COLUMN, NOTE_COLUMN = 3, 4
MARKS = {ACCEPTED: "✓ accepted", REJECTED: "✗ rejected", UNSURE: "? unsure"}
COLOURS = {ACCEPTED: "#009e73", REJECTED: "#d55e00", UNSURE: "#b8860b"}


class DetectionModel(QAbstractTableModel):
    """Shows those rows of a store that are wanted, ranked."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.store: Optional[DetectionStore] = None
        self._rows = np.zeros(0, dtype=np.int64)
        self._place = {}

    def show(self, store: Optional[DetectionStore], rows: np.ndarray) -> None:
        """Show `rows` of `store`, in that order."""
        self.beginResetModel()
        self.store, self._rows = store, rows
        self._place = {}
        self.endResetModel()

    def row_of(self, place: int) -> int:
        """The store's row at a place of the table."""
        return int(self._rows[place])

    def place_of(self, row: int) -> Optional[int]:
        """Where in the table a row of the store stands; None where it is not shown."""
        if not self._place:
            self._place = {int(number): place for place, number in enumerate(self._rows)}
        return self._place.get(row)

    def refresh(self, place: int) -> None:
        """One row has changed."""
        self.dataChanged.emit(self.index(place, 0), self.index(place, len(COLUMNS) - 1))

    def rowCount(self, parent=QModelIndex()):  # noqa: N802, B008 - Qt's signature
        """How many are shown."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent=QModelIndex()):  # noqa: N802, B008 - Qt's signature
        """How many columns there are."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section, orientation, role=Qt.ItemDataRole.DisplayRole):  # noqa: N802
        """The columns' names."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole and section == 1:
            return QCoreApplication.translate("MarineDebris", "The highest probability of its pixels")
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return QCoreApplication.translate("MarineDebris", COLUMNS[section][0])
        return None

    def data(self, index, role=Qt.ItemDataRole.DisplayRole):
        """What a cell shows."""
        if not index.isValid() or self.store is None:
            return None
        row, column = self.row_of(index.row()), index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and COLUMNS[column][1]:
            return number_of(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.ForegroundRole and column == DECISION_COLUMN:
            colour = COLOURS.get(self.store.decision(row))
            return QColor(colour) if colour else None
        if role == Qt.ItemDataRole.ToolTipRole and row >= self.store.stored:
            return QCoreApplication.translate("MarineDebris", "Below the run's threshold: kept once it is decided on.")
        if role == Qt.ItemDataRole.ToolTipRole and column == NOTE_COLUMN:
            return self.store.note(row) or None
        return None

    def _text(self, row: int, column: int) -> str:
        if column == DECISION_COLUMN:
            return MARKS.get(self.store.decision(row), "")
        if column == NOTE_COLUMN:
            return self.store.note(row)
        _, name, form = COLUMNS[column]
        value = self.store.value(row, name)
        return "new" if name == "id" and np.isnan(value) else "" if np.isnan(value) else form.format(value)
