"""The results panel: look through what was found, decide, and see what was observed."""

from typing import List, Optional

import numpy as np
from qgis.core import QgsApplication, QgsProcessingUtils, QgsProject
from qgis.gui import QgsDockWidget
from qgis.PyQt.QtCore import QTimer, pyqtSignal

from ..results.fields import DECISIONS, FieldsError
from ..results.runs import Run, alive, area_of, runs_of
from ..results.store import DetectionStore
from .results_controls import STEPS, ResultsControls
from .results_keys import Keys
from .results_layers import VIEWS, RunLayers
from .results_model import DetectionModel
from .results_scan import Scan, Scans
from .results_spotlight import Spotlight
from .results_summary import SeverityDialog, shown_of, summary, title_of, tr

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
        self._scans = Scans(self._scanned)
        self._spotlight = Spotlight(canvas)
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
        c.runs.activated.connect(lambda _: self._read_again())
        c.slider.valueChanged.connect(lambda value: self.show_from(value / STEPS))
        c.probability.valueChanged.connect(self.show_from)
        c.reset.clicked.connect(lambda: self.run is not None and self.show_from(self.run.threshold))
        for box in (c.ranking, c.filter):
            box.currentIndexChanged.connect(lambda _: self.write_note())
            box.currentIndexChanged.connect(lambda _: self.rank())
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
            "clear": lambda: self.decide(None), **{name: lambda name=name: self.decide(name) for name in DECISIONS},
        }  # fmt: skip
        for name, action in actions.items():
            c.buttons[name].clicked.connect(lambda _, action=action: action())
        self._keys = Keys(self, self.canvas, actions)
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
        self._keys.close_down()
        self._changed.stop()
        self._settled.stop()
        self._scans.cancel()
        self._scans.keep(())
        self._spotlight.remove()
        # Layers must not outlive QGIS in the hands of Python.
        self.model.show(None, np.zeros(0, dtype=np.int64))
        self.run = self.store = self.layers = None
        self.runs = []

    def refresh(self) -> None:
        """Look again which runs the project has, the largest area first; the one that is shown stays."""
        shown = self.run.detections.id() if self.run is not None and alive(self.run) else None
        self.runs = sorted(runs_of(self.project), key=lambda run: -area_of(run))
        self._scans.keep(self.project.mapLayers())
        box = self.controls.runs
        box.blockSignals(True)
        box.clear()
        for run in self.runs:
            box.addItem(title_of(run))
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
                self._scans.start(chosen, anew=True)

    def _choose(self, number: int) -> None:
        if self.run is not None and alive(self.run):
            self.write_note()
        self.controls.note.clear()
        self._spotlight.hide()
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
        self._warn()
        self.controls.set_probability(self.layers.shown_from)
        self.rank()
        self._scans.start(self.run)

    def _warn(self) -> None:
        """Say what is to be known of the run before anything is decided."""
        self.controls.hint.setVisible(self.run.detections.source().startswith(QgsProcessingUtils.tempFolder()))
        self.controls.hint.setText(tr("These detections lie in a temporary folder: save them to keep decisions."))

    def _read_again(self) -> None:
        """Read the rasters of the run that is shown, where a person had cancelled that and chooses it anew."""
        if self.run is not None and self.scan is None and not self._scans.busy:
            self._warn()
            self._scans.start(self.run)

    def _scanned(self, key: str, scan: Optional[Scan]) -> None:
        if scan is None:
            self._complain(tr("Reading the rasters was cancelled: choose the scene again to have them read."))
            return
        if scan.problem:
            self._complain(scan.problem)
        if self.run is not None and self.run.detections.id() == key:
            self._outline()

    @property
    def scan(self) -> Optional[Scan]:
        """What was read of the run's rasters; None while they are read."""
        return self._scans.of(self.run)

    def show_from(self, probability: float) -> None:
        """Show everything from this probability on, at once."""
        if self.run is None:
            return
        self.write_note()
        self.controls.set_probability(probability)
        self.layers.show_from(probability)
        self.rank()
        self._settled.start()

    def _outline(self) -> None:
        """Outline what lies below the run's own threshold, where that is shown."""
        if self.run is None or self.scan is None or self.scan.index is None:
            self._say()
            return
        low, own, index = self.layers.shown_from, self.run.threshold, self.scan.index
        found = index.candidates(low, own, min(low, self.run.extent)) if low < own - 1e-9 else []
        taken = [candidate for candidate in found if not self.store.has(candidate)]
        self.store.set_candidates(taken)
        self.layers.show_candidates(taken)
        self.rank()

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
        scan = self.scan or Scan()
        count, area = shown_of(self.run, self.store, scan.index, self.layers.shown_from)
        decided = int((self.store.decisions != "").sum())
        self.controls.summary.setText(summary(self.run, scan.areas, count, area, self.layers.shown_from, decided))

    def current_row(self) -> Optional[int]:
        """The store's row that is looked at."""
        index = self.controls.table.currentIndex()
        return self.model.row_of(index.row()) if index.isValid() and index.row() < self.model.rowCount() else None

    def step(self, by: int) -> None:
        """Go to another detection, and zoom to it."""
        self.write_note()
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
        self._spotlight.show(self.store.geometry(row), self.run)

    def decide(self, decision: Optional[str]) -> None:
        """Write a decision on the current detection into its file, and go on."""
        self.write_note()
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
        """Write the note on the current detection into its file, where it was changed.

        Also asked for before anything else becomes current: where buttons do not take the focus, as on macOS, the
        field does not notice that its text is finished.
        """
        row, text = self.current_row(), self.controls.note.text().strip()
        if row is None or text == self.store.note(row).strip():
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
        self.write_note()
        known = self.run.layers
        if algorithm == "debris:overtime":
            known = {
                "DETECTIONS": [run.detections.id() for run in self.runs],
                "MASKS": [run.mask.id() for run in self.runs if run.mask is not None],
            }
        self.asked.emit(algorithm, known)

    def _complain(self, error) -> None:
        self.controls.hint.setText(str(error))
        self.controls.hint.show()
