"""The widgets of the results panel, laid out; what they do is in `results_panel`."""

from qgis.gui import QgsScrollArea
from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QSlider,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..results.store import RANKINGS
from .results_keys import KEYS
from .results_summary import tr

FEWEST_ROWS = 6
MARGIN = 6
STEPS = 1000
"""Of the slider: thousandths of probability."""
FILTERS = ((None, "all"), ("", "not decided"), ("accepted", "accepted"), ("rejected", "rejected"), ("unsure", "unsure"))


class DetectionTable(QTableView):
    """Takes what is left, and asks for a few rows alone: more would push the buttons off a small screen."""

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """A heading, a bar to scroll with, and some rows."""
        size = super().sizeHint()
        size.setHeight(FEWEST_ROWS * self.verticalHeader().defaultSectionSize())
        return size

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """No less than it asks for."""
        size = super().minimumSizeHint()
        size.setHeight(self.sizeHint().height())
        return size


class ResultsControls(QWidget):
    """Everything that is seen in the panel."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.runs = QComboBox()
        self.runs.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.runs.setToolTip(tr("The scenes of this project, the largest area of suspected debris first"))
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.summary.setTextFormat(Qt.TextFormat.RichText)
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.hint.hide()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, STEPS)
        self.probability = QDoubleSpinBox()
        self.probability.setRange(0.0, 1.0)
        self.probability.setDecimals(3)
        self.probability.setSingleStep(0.01)
        self.probability.setKeyboardTracking(False)
        for box in (self.slider, self.probability):
            box.setToolTip(tr("Shows what has a pixel of at least this probability"))
        self.reset = QToolButton()
        self.reset.setText("↺")
        self.reset.setToolTip(tr("Back to the run's own threshold"))
        self.ranking = QComboBox()
        for name in RANKINGS:
            self.ranking.addItem(tr(name), name)
        self.filter = QComboBox()
        for decision, text in FILTERS:
            self.filter.addItem(tr(text), decision)
        for box in (self.ranking, self.filter):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(4)
        self.table = self._table()
        self.buttons = {name: QPushButton(f"{tr(text)} ({key})") for name, (key, text) in KEYS.items()}
        self.advance = QCheckBox(tr("Go on after a decision"))
        self.advance.setChecked(True)
        self.note = QLineEdit()
        self.note.setPlaceholderText(tr("Note on this detection"))
        self.report = QPushButton(tr("Report…"))
        self.export = QPushButton(tr("Export…"))
        self.corrections = QPushButton(tr("Corrections to training data…"))
        self.over_time = QPushButton(tr("Over time…"))
        self.severity = QPushButton(tr("Severity…"))
        self._name()
        self._lay_out()

    @staticmethod
    def _table() -> QTableView:
        table = DetectionTable()
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setAlternatingRowColors(True)
        table.verticalHeader().hide()
        # Fixed heights: otherwise each of many rows would be measured.
        table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + 6)
        table.setWordWrap(False)
        return table

    def size_columns(self) -> None:
        """Give each column the width of what it may hold, without looking at every row."""
        metrics = self.table.fontMetrics()
        widest = ("100,000", "Prob. 0", "10,000,000 ", "✓ accepted  ", "A note of some words", "Mean 0", "Pixels 0")
        for column, text in enumerate(widest):
            self.table.setColumnWidth(column, metrics.boundingRect(text).width() + 12)

    def set_probability(self, probability: float) -> None:
        """Show a probability on slider and spin box, which say nothing of it."""
        for box, value in ((self.slider, round(probability * STEPS)), (self.probability, probability)):
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)

    def _name(self) -> None:
        """What screen readers say of what bears no text itself."""
        for widget, text in (
            (self.runs, tr("Scene")), (self.slider, tr("Probability from, in thousandths")),
            (self.probability, tr("Probability from")), (self.reset, tr("Back to the run's own threshold")),
            (self.ranking, tr("Rank by")), (self.filter, tr("Show")), (self.table, tr("Detections")),
            (self.note, tr("Note on this detection")),
        ):  # fmt: skip
            widget.setAccessibleName(text)

    def _lay_out(self) -> None:
        """Rows that a narrow panel has room for; what is too high for a small screen is scrolled."""
        inside = QWidget()
        box = QVBoxLayout(inside)
        box.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        box.addWidget(self.runs)
        box.addWidget(self.summary)
        box.addWidget(self.hint)
        label = _label("Probability from", self.probability)
        box.addLayout(_row(label, (self.slider, 1), self.probability, self.reset))
        rank, show = _label("Rank by", self.ranking), _label("Show", self.filter)
        box.addLayout(_row(rank, (self.ranking, 1), show, (self.filter, 1)))
        box.addWidget(self.table, 1)
        grid = QGridLayout()
        for number, name in enumerate(("previous", "next", "view", "accepted", "rejected", "unsure")):
            grid.addWidget(self.buttons[name], number // 3, number % 3)
        box.addLayout(grid)
        box.addLayout(_row((self.note, 1), self.buttons["clear"]))
        box.addLayout(_row((self.advance, 1), self.severity))
        box.addLayout(_row(self.report, self.export, self.over_time))
        box.addWidget(self.corrections)
        area = QgsScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidgetResizable(True)
        area.setWidget(inside)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)


def _label(text: str, widget: QWidget) -> QLabel:
    label = QLabel(tr(text))
    label.setBuddy(widget)
    return label


def _row(*widgets) -> QHBoxLayout:
    """Widgets side by side; one given with a number takes that share of what is left."""
    row = QHBoxLayout()
    for widget in widgets:
        if isinstance(widget, tuple):
            row.addWidget(*widget)
        else:
            row.addWidget(widget)
    return row
