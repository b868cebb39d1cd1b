"""The results panel: look through what was found, decide, and see what was observed."""

from typing import List, Optional

import numpy as np
from qgis.core import NULL, QgsAggregateCalculator, QgsApplication, QgsProcessingUtils, QgsProject
from qgis.gui import QgsDockWidget, QgsRubberBand
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeySequence

from ..compat import POLYGON_GEOMETRY, QShortcut
from ..results.fields import REJECTED, FieldsError
from ..results.runs import Run, runs_of, unfiltered
from ..results.severity import severity, stored_levels
from ..results.store import DetectionStore
from .results_controls import KEYS, STEPS, ResultsControls
from .results_layers import VIEWS, RunLayers, view_of
from .results_model import DetectionModel
from .results_scan import Scan, ScanTask
from .results_summary import SeverityDialog, summary, tr

SETTLE_MS = 60
"""Candidates are outlined once the slider has rested this long; everything else follows it at once."""


class ResultsPanel(QgsDockWidget):
    """A dock; `asked` says that an algorithm's dialog is wanted, with parameters from the run."""

    asked = pyqtSignal(str, dict)

    def __init__(self, canvas, parent=None, project: Optional[QgsProject] = None) -> None:
        super().__init__(tr("Marine debris results"), parent)
        self.setObjectName("MarineDebrisResults")
        self.canvas, self.project = canvas, project or QgsProject.instance()
        self.controls, self.model = ResultsControls(), DetectionModel(self)
        self.controls.table.setModel(self.model)
        self.controls.size_columns()
        self.setWidget(self.controls)
        self.runs: List[Run] = []
        self.run: Optional[Run] = None
        self.store: Optional[DetectionStore] = None
        self.layers: Optional[RunLayers] = None
        self.view = VIEWS[0]
        self._scans, self._scan, self._quiet = {}, None, False
        self._mark = QgsRubberBand(canvas, POLYGON_GEOMETRY)
        self._mark.setStrokeColor(QColor("#00ffff"))
        self._mark.setFillColor(QColor(0, 0, 0, 0))
        self._mark.setWidth(2)
        self._settled, self._changed = QTimer(self), QTimer(self)
        for timer, interval, slot in ((self._settled, SETTLE_MS, self._outline), (self._changed, 0, self.refresh)):
            timer.setSingleShot(True)
            timer.setInterval(interval)
            timer.timeout.connect(slot)
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        c = self.controls
        c.runs.currentIndexChanged.connect(self._choose)
        c.slider.valueChanged.connect(lambda value: self.show_from(value / STEPS))
        c.probability.valueChanged.connect(self.show_from)
        c.reset.clicked.connect(lambda: self.run is not None and self.show_from(self.run.threshold))
        c.ranking.currentIndexChanged.connect(lambda _: self.rank())
        c.filter.currentIndexChanged.connect(lambda _: self.rank())
        c.table.selectionModel().currentRowChanged.connect(lambda current, _: self._arrive(current.row()))
        c.note.editingFinished.connect(self.write_note)
        c.severity.clicked.connect(self._change_severity)
        for button, algorithm in (
            (c.report, "debris:report"), (c.export, "debris:export"), (c.corrections, "debris:corrections"),
            (c.over_time, "debris:overtime"),
        ):  # fmt: skip
            button.clicked.connect(lambda _, name=algorithm: self._ask(name))
            button.setVisible(QgsApplication.processingRegistry().algorithmById(algorithm) is not None)
        actions = {
            "next": lambda: self.step(1), "previous": lambda: self.step(-1), "view": self.next_view,
            "clear": lambda: self.decide(None),
        }  # fmt: skip
        self._shortcuts = []
        for name, (key, _) in KEYS.items():
            action = actions.get(name, lambda name=name: self.decide(name))
            c.buttons[name].clicked.connect(lambda _, action=action: action())
            for place in (self, self.canvas):
                # In the panel and over the map, not in all of QGIS: single letters mean other things elsewhere.
                shortcut = QShortcut(QKeySequence(key), place)
                shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                shortcut.activated.connect(action)
                self._shortcuts.append(shortcut)
        # What QGIS says of the project may come many times at once: look when it has said all.
        self._signals = [self.project.layersAdded, self.project.layersRemoved, self.project.readProject]
        for signal in self._signals:
            signal.connect(self._changed_project)

    def _changed_project(self, *_) -> None:
        self._changed.start()

    def close_down(self) -> None:
        """Let go of project and map, before the panel is deleted."""
        for signal in self._signals:
            signal.disconnect(self._changed_project)
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._changed.stop()
        self._settled.stop()
        if self._scan is not None:
            self._scan.cancel()
        self.canvas.scene().removeItem(self._mark)
        # Layers must not outlive QGIS in the hands of Python.
        self.model.show(None, np.zeros(0, dtype=np.int64))
        self.run = self.store = self.layers = self._scan = None
        self.runs, self._scans = [], {}

    def refresh(self) -> None:
        """Look again which runs the project has, the largest area first; the one that is shown stays."""
        shown = self.run.detections.id() if self.run is not None and _alive(self.run) else None
        self.runs = sorted(runs_of(self.project), key=lambda run: -_area_of(run))
        self._scans = {key: scan for key, scan in self._scans.items() if self.project.mapLayer(key) is not None}
        box = self.controls.runs
        box.blockSignals(True)
        box.clear()
        for run in self.runs:
            count, area = unfiltered(run.detections).featureCount(), _area_of(run)
            level = severity(count, area, stored_levels())
            box.addItem(tr("{}: {} detection(s), {:,.0f} m², {}").format(run.name, f"{count:,}", area, tr(level)))
        ids = [run.detections.id() for run in self.runs]
        box.setCurrentIndex(ids.index(shown) if shown in ids else 0 if ids else -1)
        box.blockSignals(False)
        if shown is None or shown not in ids:
            self._choose(box.currentIndex())
        else:
            chosen = self.runs[ids.index(shown)]
            arrived = (chosen.mask, chosen.probability) != (self.run.mask, self.run.probability)
            self.run, self.layers = chosen, RunLayers(chosen, self.project)
            if arrived:
                self._scans.pop(shown, None)
                self._start_scan()

    def _choose(self, number: int) -> None:
        self._mark.reset(POLYGON_GEOMETRY)
        self.run = self.runs[number] if 0 <= number < len(self.runs) else None
        self.controls.table.setEnabled(self.run is not None)
        if self.run is None:
            self.store = self.layers = None
            self.model.show(None, np.zeros(0, dtype=np.int64))
            self.controls.summary.setText(tr("No detections in this project yet: run Detect Marine Debris."))
            self.controls.hint.hide()
            return
        self.store = DetectionStore(self.run.detections, self.run.provenance)
        self.layers = RunLayers(self.run, self.project)
        self.controls.hint.setVisible(self.run.detections.source().startswith(QgsProcessingUtils.tempFolder()))
        self.controls.hint.setText(tr("These detections lie in a temporary folder: save them to keep decisions."))
        self._set_probability(self.layers.shown_from)
        self.rank()
        self._start_scan()

    def _start_scan(self) -> None:
        key = self.run.detections.id()
        if key in self._scans or (self.run.mask is None and self.run.probability is None):
            return
        if self._scan is not None:
            self._scan.cancel()
        self._scan = ScanTask(self.run, self._scanned)
        QgsApplication.taskManager().addTask(self._scan)

    def _scanned(self, key: str, scan: Scan) -> None:
        # QGIS deletes a task that has ended.
        self._scan = None
        self._scans[key] = scan
        if scan.problem:
            self._complain(scan.problem)
        if self.run is not None and self.run.detections.id() == key:
            self._outline()

    @property
    def scan(self) -> Optional[Scan]:
        """What was read of the run's rasters; None while they are read."""
        return self._scans.get(self.run.detections.id()) if self.run is not None else None

    def show_from(self, probability: float) -> None:
        """Show everything from this probability on, at once."""
        if self._quiet or self.run is None:
            return
        self._set_probability(probability)
        self.layers.show_from(probability)
        self.rank()
        self._settled.start()

    def _set_probability(self, probability: float) -> None:
        self._quiet = True
        self.controls.slider.setValue(round(probability * STEPS))
        self.controls.probability.setValue(probability)
        self._quiet = False

    def _outline(self) -> None:
        """Outline what lies below the run's own threshold, where that is shown."""
        if self.run is None or self.scan is None or self.scan.index is None:
            self._say()
            return
        low = self.layers.shown_from
        found = self.scan.index.candidates(low, self.run.threshold) if low < self.run.threshold - 1e-9 else []
        taken = [c for c in found if not self._known(c)]
        self.store.set_candidates(taken)
        self.layers.show_candidates(taken)
        self.rank()

    def _known(self, candidate) -> bool:
        """Whether a candidate was decided on, and so kept, before."""
        kept = np.flatnonzero(self.store.columns["max_prob"] < self.run.threshold - 1e-6)
        return any(self.store.geometry(int(row)).intersects(candidate.geometry.pointOnSurface()) for row in kept)

    def rank(self) -> None:
        """Rank and filter the table again; the detection that is looked at stays the current one."""
        if self.store is None:
            return
        current = self.current_row()
        decision = self.controls.filter.currentData()
        rows = self.store.order(self.controls.ranking.currentData(), self.layers.shown_from, decision)
        self.model.show(self.store, rows)
        # Candidates have new numbers each time; what is in the file keeps its own.
        place = self.model.place_of(current) if current is not None and current < self.store.stored else None
        if place is not None:
            self._select(place, quietly=True)
        self._say()

    def _say(self) -> None:
        if self.run is None:
            return
        shown = self.store.column("max_prob") >= self.layers.shown_from - 1e-6
        shown &= self.store.all_decisions() != REJECTED
        areas = self.scan.areas if self.scan is not None else None
        own = abs(self.layers.shown_from - self.run.threshold) < 1e-9
        index = self.scan.index if self.scan is not None else None
        rejected = (self.store.decisions == REJECTED).any()
        # The index knows the exact ground at any threshold; whole detections are all there is without it, or once
        # some of them were rejected.
        area = index.area(self.layers.shown_from) if index and not own and not rejected else None
        if area is None and self.run.placed:
            area = float(np.nansum(self.store.column("area_m2")[shown]))
        decided = int((self.store.decisions != "").sum())
        self.controls.summary.setText(summary(self.run, areas, int(shown.sum()), area, self.layers.shown_from, decided))

    def current_row(self) -> Optional[int]:
        """The store's row that is looked at."""
        index = self.controls.table.currentIndex()
        return self.model.row_of(index.row()) if index.isValid() and index.row() < self.model.rowCount() else None

    def step(self, by: int) -> None:
        """Go to another detection, and zoom to it."""
        count = self.model.rowCount()
        if not count:
            return
        index = self.controls.table.currentIndex()
        place = index.row() + by if index.isValid() else (0 if by > 0 else count - 1)
        self._select(min(max(place, 0), count - 1))

    def _select(self, place: int, quietly: bool = False) -> None:
        selection = self.controls.table.selectionModel()
        was = selection.blockSignals(quietly)
        self.controls.table.selectRow(place)
        selection.blockSignals(was)

    def _arrive(self, place: int) -> None:
        """Zoom to the detection at a place of the table."""
        if place < 0 or self.store is None or place >= self.model.rowCount():
            return
        row = self.model.row_of(place)
        self.controls.note.setText(self.store.note(row))
        geometry = self.store.geometry(row)
        if geometry.isEmpty():
            return
        self._mark.setToGeometry(geometry, self.run.detections.crs())
        self.canvas.setExtent(view_of(geometry, self.run, self.canvas))
        self.canvas.refresh()

    def decide(self, decision: Optional[str]) -> None:
        """Write a decision on the current detection into its file, and go on."""
        row = self.current_row()
        if row is None:
            return
        place, stored = self.controls.table.currentIndex().row(), self.store.stored
        try:
            kept = self.store.decide(row, decision)
        except FieldsError as error:
            self._complain(error)
            return
        self._written(kept, self.store.stored > stored)
        if self.controls.filter.currentData() is not None:
            self.rank()
            place -= 1
        if decision and self.controls.advance.isChecked() and self.model.rowCount():
            self._select(min(place + 1, self.model.rowCount() - 1))

    def write_note(self) -> None:
        """Write the note on the current detection into its file."""
        row, text = self.current_row(), self.controls.note.text().strip()
        if row is None or text == self.store.note(row):
            return
        stored = self.store.stored
        try:
            kept = self.store.write_note(row, text)
        except FieldsError as error:
            self._complain(error)
            return
        self._written(kept, self.store.stored > stored)

    def _written(self, row: int, is_new: bool) -> None:
        """Show what has changed of a row; one that is new to the file is no candidate any more."""
        if is_new:
            self.run.detections.reload()
            self._outline()
        place = self.model.place_of(row)
        if place is not None:
            self.model.refresh(place)
            if is_new:
                self._select(place, quietly=True)
        self._say()

    def next_view(self) -> None:
        """Results, colour image, index, and round again; what cannot be had is passed over."""
        if self.run is None:
            return
        for ahead in range(1, len(VIEWS) + 1):
            view = VIEWS[(VIEWS.index(self.view) + ahead) % len(VIEWS)]
            if self.layers.show_view(view):
                self.view = view
                return

    def _change_severity(self) -> None:
        if SeverityDialog(self).exec():
            self.refresh()
            self._say()

    def _ask(self, algorithm: str) -> None:
        if self.run is None:
            return
        known = {"DETECTIONS": self.run.detections.id()}
        for name, layer in (("MASK", self.run.mask), ("PROBABILITY", self.run.probability)):
            if layer is not None:
                known[name] = layer.id()
        if algorithm == "debris:overtime":
            known = {
                "DETECTIONS": [run.detections.id() for run in self.runs],
                "MASKS": [run.mask.id() for run in self.runs if run.mask is not None],
            }
        self.asked.emit(algorithm, known)

    def _complain(self, error) -> None:
        self.controls.hint.setText(str(error))
        self.controls.hint.show()


def _alive(run: Run) -> bool:
    """Whether QGIS has not deleted the run's layer."""
    try:
        return run.detections.isValid()
    except RuntimeError:
        return False


def _area_of(run: Run) -> float:
    """Area of all detections in m², for ranking the runs."""
    value, done = unfiltered(run.detections).aggregate(QgsAggregateCalculator.Aggregate.Sum, "area_m2")
    return float(value) if done and value not in (None, NULL) else 0.0
