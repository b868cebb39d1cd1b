"""The settings of a training, with the recipe's defaults, and what is in the data, before it starts."""

import os

from qgis.gui import QgsCollapsibleGroupBox, QgsFileWidget
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHeaderView,
    QLabel,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..algorithms.detect import DEVICES
from ..algorithms.labelled import LabelledDataError
from ..algorithms.train import NUMBERS
from ..compat import INTEGER
from .training_run import tr

MODELS = "Models (*.safetensors)"
WIDTHS = ((16, "16: small, learns on a laptop"), (32, "32"), (64, "64: the full network, wants a GPU"))
SHOWN = ("EPOCHS", "BATCH_SIZE")
MORE = ("LEARNING_RATE", "WARMUP_EPOCHS", "PATIENCE", "WEIGHT_DECAY", "DROPOUT", "TILE_SIZE")


class SettingsForm(QWidget):
    """The form; `values` is what it comes to, as fields of the engine's request `train`."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.model = QgsFileWidget()
        self.model.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.model.setFilter(tr(MODELS))
        self.model.setConfirmOverwrite(False)
        self.start_from = QgsFileWidget()
        self.start_from.setFilter(tr(MODELS))
        self.start_from.lineEdit().setPlaceholderText(tr("empty: from scratch"))
        self.width_box = QComboBox()
        for value, text in WIDTHS:
            self.width_box.addItem(tr(text), value)
        self.device = QComboBox()
        self.device.addItems(DEVICES)
        self.numbers = {name: _box(*rest) for name, *rest in NUMBERS if name in SHOWN + MORE}
        labels = {name: tr(label) for name, label, *_ in NUMBERS}
        form = QFormLayout()
        form.addRow(tr("Model to write"), self.model)
        form.addRow(tr("Start from model"), self.start_from)
        form.addRow(labels["WIDTH"], self.width_box)
        for name in SHOWN:
            form.addRow(labels[name], self.numbers[name])
        more = QgsCollapsibleGroupBox(tr("More"))
        inner = QFormLayout(more)
        for name in MORE:
            inner.addRow(labels[name], self.numbers[name])
        inner.addRow(tr("Device"), self.device)
        more.setCollapsed(True)
        self.more = more
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addLayout(form)
        box.addWidget(more)

    def choose_width(self, width: int) -> None:
        """Choose a width, also one that is not listed."""
        place = self.width_box.findData(width)
        if place < 0:
            self.width_box.addItem(str(width), width)
            place = self.width_box.count() - 1
        self.width_box.setCurrentIndex(place)

    def values(self) -> dict:
        """Fields of the engine's request `train`.

        Raises:
            LabelledDataError: the model is not named, or cannot be one.
        """
        path = self.model.filePath().strip()
        if not path:
            raise LabelledDataError(tr("Choose the model file to write."))
        if not path.lower().endswith(".safetensors"):
            path += ".safetensors"
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(folder):
            raise LabelledDataError(tr("There is no folder {} to write the model to.").format(folder))
        start = self.start_from.filePath().strip()
        if start and not os.path.isfile(start):
            raise LabelledDataError(tr("There is no model file {}.").format(start))
        size = self.numbers["TILE_SIZE"].value()
        if size % 16:
            raise LabelledDataError(tr("The size of tiles is {}: it must be a multiple of 16.").format(size))
        stem = os.path.splitext(os.path.abspath(path))[0]
        return {
            "model": f"{stem}.safetensors",
            "report": f"{stem}.html",
            "log_csv": f"{stem}.csv",
            "name": os.path.basename(stem),
            "start_from": start or None,
            "width": self.width_box.currentData(),
            "device": self.device.currentText(),
            **{name.lower(): box.value() for name, box in self.numbers.items()},
        }


def _box(label, kind, default, low, high, advanced, text):
    box = QSpinBox() if kind == INTEGER else QDoubleSpinBox()
    if kind != INTEGER:
        box.setDecimals(6)
        box.setSingleStep(default / 10)
    box.setRange(low, high)
    if label.startswith("Size of tiles"):
        box.setSingleStep(16)
    box.setValue(default)
    box.setToolTip(tr(text))
    return box


class DataTable(QWidget):
    """Labelled pixels by class, and the split, before anything is trained."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.table = QTableWidget(0, 3)
        self.table.setHorizontalHeaderLabels([tr("Class"), tr("Training"), tr("Validation")])
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setAlternatingRowColors(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.text)
        box.addWidget(self.table, 1)
        self.say(tr("Labelled pixels of each class, and how they are split, before you start."))

    def say(self, text: str) -> None:
        """Show a text, and no numbers."""
        self.text.setText(text)
        self.table.setRowCount(0)

    def show_plan(self, plan: dict) -> None:
        """Show what the job `inspect` answered, or the run folder's plan."""
        training, validation = plan.get("training", {}), plan.get("validation", {})
        names = list(dict.fromkeys([*training.get("classes", {}), *validation.get("classes", {})]))
        text = tr("Training: {} patches of {} scene(s). Validation: {} patches of {} scene(s).").format(
            f"{training.get('patches', 0):,}", len(training.get("scenes", [])),
            f"{validation.get('patches', 0):,}", len(validation.get("scenes", [])),
        )  # fmt: skip
        if training.get("estimated"):
            text += " " + tr("Pixels are estimated from some tiles.")
        shared = sorted(set(training.get("scenes", [])) & set(validation.get("scenes", [])))
        if shared:
            text += " " + tr("Split by blocks within {}.").format(", ".join(shared))
        self.text.setText(text)
        scenes = tr("Training: {}\nValidation: {}")
        self.text.setToolTip(
            scenes.format(*(", ".join(map(str, part.get("scenes", []))) for part in (training, validation)))
        )
        self.table.setRowCount(len(names))
        for row, name in enumerate(names):
            self.table.setItem(row, 0, QTableWidgetItem(name))
            for column, part in ((1, training), (2, validation)):
                item = QTableWidgetItem(f"{part.get('classes', {}).get(name, 0):,}")
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(row, column, item)
