"""Where a training's data come from: practice scenes, a folder in MARIDA's layout, or layers of the project."""

from pathlib import Path
from typing import Dict, Optional

from qgis.core import QgsFieldProxyModel, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgsFieldComboBox, QgsFileWidget, QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFormLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QSpinBox,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..algorithms.labelled import LabelledDataError, class_numbers, sources_of
from ..compat import layer_filter
from .training_run import tr

SOURCES = (
    ("practice", "Practice scenes (no data needed)"),
    ("marida", "A folder in MARIDA's layout"),
    ("rasters", "Layers of this project"),
)
POSITIVE = (("1", "1: marine debris alone"), ("1,2,3,4,9", "1,2,3,4,9: all floating matter"))
FEWEST_BANDS = 10
"""Rasters with fewer bands cannot hold what a model needs and are not offered."""


class SourceForm(QWidget):
    """The form; `values` is what it comes to, as fields of the engine's requests."""

    changed = pyqtSignal()

    def __init__(self, parent=None, project: Optional[QgsProject] = None) -> None:
        super().__init__(parent)
        self.project = project or QgsProject.instance()
        self.source = QComboBox()
        for value, text in SOURCES:
            self.source.addItem(tr(text), value)
        self.pages = QStackedWidget()
        for page in (self._practice_page(), self._marida_page(), self._rasters_page()):
            self.pages.addWidget(page)
        self.positive = QComboBox()
        self.positive.setEditable(True)
        for value, text in POSITIVE:
            self.positive.addItem(tr(text), value)
        self.positive.setToolTip(
            tr("Class numbers as in MARIDA, separated by commas; the rest of the labels is not debris")
        )
        self.share = QSpinBox()
        self.share.setRange(5, 50)
        self.share.setValue(20)
        self.share.setSuffix(" %")
        self.share.setToolTip(tr("Whole scenes, or blocks of a raster: neighbours never stand on both sides"))
        form = QFormLayout()
        form.addRow(tr("Learn from"), self.source)
        below = QFormLayout()
        below.addRow(tr("Classes that count as debris"), self.positive)
        self.share_label = QLabel(tr("Kept for validation"))
        below.addRow(self.share_label, self.share)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addLayout(form)
        box.addWidget(self.pages)
        box.addLayout(below)
        self._connect()
        self._fit_page()
        self.refresh()

    def _connect(self):
        self.source.currentIndexChanged.connect(self._show_page)
        self.folder.fileChanged.connect(lambda _: self.changed.emit())
        self.positive.editTextChanged.connect(lambda _: self.changed.emit())
        for box in (self.share, self.training_samples, self.validation_samples, self.seed):
            box.valueChanged.connect(lambda _: self.changed.emit())
        for line in self.splits:
            line.textChanged.connect(lambda _: self.changed.emit())
        self.rasters.itemChanged.connect(lambda _: self.changed.emit())
        self.labels.layerChanged.connect(self._labels_changed)
        self.field.fieldChanged.connect(lambda _: self.changed.emit())
        self._signals = [self.project.layersAdded, self.project.layersRemoved]
        for signal in self._signals:
            signal.connect(self.refresh)

    def close_down(self) -> None:
        """Let go of the project."""
        for signal in self._signals:
            signal.disconnect(self.refresh)

    def _practice_page(self):
        page, form = _form()
        self.training_samples, self.validation_samples = _number(1, 1_000_000, 2000), _number(1, 1_000_000, 400)
        self.seed = _number(0, 2**31 - 1, 0)
        self.seed.setToolTip(tr("The same seed gives the same scenes"))
        form.addRow(tr("Tiles for training"), self.training_samples)
        form.addRow(tr("Tiles for validation"), self.validation_samples)
        form.addRow(tr("Seed"), self.seed)
        return page

    def _marida_page(self):
        page, form = _form()
        self.folder = QgsFileWidget()
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.folder.setDialogTitle(tr("Folder with patches/ and splits/"))
        self.splits = (QLineEdit(), QLineEdit())
        for line in self.splits:
            line.setPlaceholderText(tr("empty: scenes are split by themselves"))
            line.setToolTip(tr("Name of a list below splits/, or a file"))
        form.addRow(tr("Folder"), self.folder)
        form.addRow(tr("List to train on"), self.splits[0])
        form.addRow(tr("List to validate on"), self.splits[1])
        return page

    def _rasters_page(self):
        page, form = _form()
        self.rasters = QTableWidget(0, 2)
        self.rasters.setHorizontalHeaderLabels([tr("Raster with Sentinel-2 bands"), tr("Class raster")])
        self.rasters.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.rasters.verticalHeader().hide()
        self.rasters.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.rasters.setMinimumHeight(90)
        self.labels = QgsMapLayerComboBox()
        self.labels.setFilters(layer_filter("PolygonLayer"))
        self.labels.setAllowEmptyLayer(True, tr("none: a class raster for each"))
        self.field = QgsFieldComboBox()
        self.field.setFilters(QgsFieldProxyModel.Filter.Numeric)
        form.addRow(self.rasters)
        form.addRow(tr("Polygons"), self.labels)
        form.addRow(tr("Field with the class number"), self.field)
        return page

    def refresh(self, *_) -> None:
        """Look again which rasters the project has; what was ticked and chosen stays so."""
        ticked = {layer.id() for layer in self.chosen_rasters()}
        classes = self._class_rasters()
        layers = [one for one in self.project.mapLayers().values() if isinstance(one, QgsRasterLayer)]
        fit = sorted((one for one in layers if one.bandCount() >= FEWEST_BANDS), key=lambda one: one.name())
        self.rasters.blockSignals(True)
        self.rasters.setRowCount(len(fit))
        for row, layer in enumerate(fit):
            item = QTableWidgetItem(layer.name())
            item.setData(Qt.ItemDataRole.UserRole, layer.id())
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if layer.id() in ticked else Qt.CheckState.Unchecked)
            self.rasters.setItem(row, 0, item)
            box = QgsMapLayerComboBox()
            box.setFilters(layer_filter("RasterLayer"))
            box.setExceptedLayerList(fit)
            box.setAllowEmptyLayer(True)
            box.setLayer(self.project.mapLayer(classes.get(layer.id(), "")))
            box.layerChanged.connect(lambda _: self.changed.emit())
            self.rasters.setCellWidget(row, 1, box)
        self.rasters.blockSignals(False)
        self._labels_changed(self.labels.currentLayer())

    def _labels_changed(self, layer):
        self.field.setLayer(layer)
        self.field.setEnabled(layer is not None)
        self.rasters.setColumnHidden(1, layer is not None)
        self.changed.emit()

    def _show_page(self, number):
        self.pages.setCurrentIndex(number)
        self._fit_page()
        for widget in (self.share, self.share_label):
            widget.setVisible(self.kind != "practice")
        self.changed.emit()

    def _fit_page(self):
        """Let the pages be as high as the one that is shown, not as the highest."""
        for place in range(self.pages.count()):
            shown = place == self.pages.currentIndex()
            policy = QSizePolicy.Policy.Preferred if shown else QSizePolicy.Policy.Ignored
            self.pages.widget(place).setSizePolicy(policy, policy)
        self.pages.adjustSize()

    def showEvent(self, event) -> None:  # noqa: N802
        """Only what the chosen source needs is shown, from the start."""
        super().showEvent(event)
        for widget in (self.share, self.share_label):
            widget.setVisible(self.kind != "practice")

    @property
    def kind(self) -> str:
        """Which source is chosen: practice, marida or rasters."""
        return self.source.currentData()

    def chosen_rasters(self) -> list:
        """The ticked raster layers."""
        return [self.project.mapLayer(key) for key, _ in self._ticked() if self.project.mapLayer(key) is not None]

    def _class_rasters(self) -> Dict[str, str]:
        """Ids of the class rasters that were chosen, by those of the rasters that they are for."""
        rows = [(self.rasters.item(row, 0), self.rasters.cellWidget(row, 1)) for row in range(self.rasters.rowCount())]
        chosen = {item.data(Qt.ItemDataRole.UserRole): box.currentLayer() for item, box in rows}
        return {key: layer.id() for key, layer in chosen.items() if layer is not None}

    def _ticked(self):
        """Layer id and class raster of each ticked row."""
        for row in range(self.rasters.rowCount()):
            item = self.rasters.item(row, 0)
            if item is not None and item.checkState() == Qt.CheckState.Checked:
                yield item.data(Qt.ItemDataRole.UserRole), self.rasters.cellWidget(row, 1).currentLayer()

    def values(self, folder: Optional[Path] = None) -> dict:
        """Fields of the engine's requests `inspect` and `train`.

        Args:
            folder: where labels that only QGIS can read are written to; a temporary folder where None.

        Raises:
            LabelledDataError: something is missing, or a layer cannot be handed over.
        """
        text = self.positive.currentText()
        known = {shown: value for value, shown in ((v, tr(t)) for v, t in POSITIVE)}
        values = {
            "source": self.kind,
            "positive_classes": class_numbers(known.get(text, text)),
            "seed": self.seed.value(),
        }
        if self.kind == "practice":
            samples = {"training_samples": self.training_samples.value()}
            return {**values, **samples, "validation_samples": self.validation_samples.value()}
        values["validation_share"] = self.share.value() / 100
        if self.kind == "marida":
            return {**values, **self._folder_values()}
        return {**values, **self._layer_values(folder)}

    def _folder_values(self):
        path = self.folder.filePath()
        if not path:
            raise LabelledDataError(tr("Choose the folder that holds patches/ and splits/."))
        if not Path(path).is_dir():
            raise LabelledDataError(tr("There is no folder {}.").format(path))
        lists = [line.text().strip() or None for line in self.splits]
        return {"folder": str(Path(path).absolute()), "train_split": lists[0], "validation_split": lists[1]}

    def _layer_values(self, folder):
        ticked = list(self._ticked())
        if not ticked:
            raise LabelledDataError(
                tr("Tick the rasters to learn from; rasters of fewer than 10 bands are not listed.")
            )
        polygons = self.labels.currentLayer()
        labels = [polygons] if isinstance(polygons, QgsVectorLayer) else [layer for _, layer in ticked]
        if None in labels:
            raise LabelledDataError(tr("Choose a layer of polygons, or a class raster for each ticked raster."))
        return sources_of(self.chosen_rasters(), labels, self.field.currentField() or None, folder)


def _form():
    page = QWidget()
    form = QFormLayout(page)
    form.setContentsMargins(0, 0, 0, 0)
    return page, form


def _number(low, high, value):
    box = QSpinBox()
    box.setRange(low, high)
    box.setValue(value)
    box.setGroupSeparatorShown(True)
    return box
