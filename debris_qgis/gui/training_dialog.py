"""The training dialog: choose data and settings, see what is in them, start; then watch, stop, resume, use."""

from pathlib import Path
from typing import Optional

from qgis.core import QgsApplication, QgsProject
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QDialog,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from ..algorithms.labelled import LabelledDataError
from ..engine_environment import EngineNotFound
from .training_desk import TrainingDesk
from .training_progress import ProgressView
from .training_run import STATE, EngineTask, TrainingRun, run_folder_of, tr
from .training_settings import DataTable, SettingsForm
from .training_source import SourceForm

WATCH_MS = 1000
FORM_WIDTH = 400
WIDTH, HEIGHT = 940, 620
"""In points, and never more than the screen has: at 200 % a laptop's screen has 960 by 540 of them."""


class TrainingDialog(QDialog):
    """A window that stays open beside the map; `use_in_detect` carries the model's path."""

    use_in_detect = pyqtSignal(str)

    def __init__(self, desk: TrainingDesk, parent=None, project: Optional[QgsProject] = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle(tr("Train Model"))
        self.setObjectName("MarineDebrisTraining")
        self.desk = desk
        self._inspection: Optional[EngineTask] = None
        self.source, self.settings, self.table = SourceForm(project=project), SettingsForm(), DataTable()
        self.progress = ProgressView()
        self.tabs = QTabWidget()
        self.tabs.addTab(self._choices(), tr("Data and settings"))
        self.tabs.addTab(self.progress, tr("Training"))
        box = QVBoxLayout(self)
        box.addWidget(self.tabs, 1)
        box.addLayout(self._buttons())
        self._timer = QTimer(self)
        self._timer.setInterval(WATCH_MS)
        self._timer.timeout.connect(self.watch)
        self._connect()
        room = self.screen().availableGeometry() if hasattr(self, "screen") else self.geometry()
        self.resize(min(WIDTH, room.width() - 20), min(HEIGHT, room.height() - 60))
        self.update_state()

    def _choices(self):
        left = QWidget()
        column = QVBoxLayout(left)
        for title, form in ((tr("Data"), self.source), (tr("Model"), self.settings)):
            group = QGroupBox(title)
            QVBoxLayout(group).addWidget(form)
            column.addWidget(group)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(left)
        scroll.setMinimumWidth(FORM_WIDTH)
        # The page's own background, which in some themes is not that of a window.
        scroll.viewport().setAutoFillBackground(False)
        left.setAutoFillBackground(False)
        self.look = QPushButton(tr("Look at the data"))
        right = QGroupBox(tr("What is in the data"))
        inner = QVBoxLayout(right)
        inner.addWidget(self.look)
        inner.addWidget(self.table, 1)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.addWidget(scroll)
        splitter.addWidget(right)
        splitter.setStretchFactor(0, 1)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([WIDTH // 2, WIDTH // 2])
        splitter.setChildrenCollapsible(False)
        return splitter

    def _buttons(self):
        self.start = QPushButton(tr("Start"))
        self.stop = QPushButton(tr("Stop and keep best"))
        self.cancel = QPushButton(tr("Cancel"))
        self.cancel.setToolTip(tr("Ends at once, without a model; it can be resumed from the last epoch finished"))
        self.resume = QPushButton(tr("Resume"))
        self.resume.setToolTip(tr("Goes on from the last epoch finished of the model named"))
        self.detect = QPushButton(tr("Use in Detect"))
        self.shut = QPushButton(tr("Close"))
        self.shut.setToolTip(tr("A training goes on in the background"))
        row = QHBoxLayout()
        for button in (self.start, self.stop, self.cancel, self.resume):
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(self.detect)
        row.addWidget(self.shut)
        for button in (self.stop, self.cancel, self.resume, self.detect, self.shut, self.look):
            # Enter in a field must not press any of these.
            button.setAutoDefault(False)
        self.start.setAutoDefault(False)
        return row

    def _connect(self):
        self.look.clicked.connect(self.inspect)
        self.start.clicked.connect(self.begin)
        self.stop.clicked.connect(lambda: self.desk.run.stop())
        self.cancel.clicked.connect(self._cancel)
        self.resume.clicked.connect(self.go_on)
        self.detect.clicked.connect(lambda: self.use_in_detect.emit(self.desk.run.model))
        self.shut.clicked.connect(self.close)
        self.source.changed.connect(self._outdated)
        self.settings.model.fileChanged.connect(lambda _: self.update_state())
        self.desk.changed.connect(self.update_state)
        self.desk.ended.connect(self._ended)

    def _outdated(self):
        if self._inspection is None:
            self.table.say(tr("Labelled pixels of each class, and how they are split, before you start."))

    def inspect(self) -> None:
        """Ask the engine what is in the data."""
        if self._inspection is not None:
            self._inspection.cancel()
            return
        try:
            values = self.source.values()
            task = EngineTask(tr("Looking at training data"), "inspect", self._with_tile_size(values))
        except (LabelledDataError, EngineNotFound) as error:
            self.table.say(str(error))
            return
        task.ended.connect(self._inspected)
        self._inspection = task
        self.table.say(tr("Looking…"))
        self.look.setText(tr("Cancel looking"))
        QgsApplication.taskManager().addTask(task)

    def _with_tile_size(self, values):
        return {**values, "tile_size": self.settings.numbers["TILE_SIZE"].value()}

    def _inspected(self, result, problem):
        self._inspection = None
        self.look.setText(tr("Look at the data"))
        if result is not None:
            self.table.show_plan(result)
        else:
            self.table.say(problem or tr("Cancelled."))

    def request(self) -> dict:
        """What the forms come to.

        Raises:
            LabelledDataError: something is missing; OSError: the run folder cannot be made.
        """
        settings = self.settings.values()
        folder = run_folder_of(settings["model"])
        if self.source.kind == "rasters":
            folder.mkdir(exist_ok=True)
        return {**self.source.values(folder), **settings}

    def begin(self) -> None:
        """Start, after a question where an unfinished training would be lost."""
        try:
            path = self.settings.values()["model"]
            if (run_folder_of(path) / STATE).is_file() and not self._confirmed(path):
                return
            problem = self.desk.start(self.request())
        except (LabelledDataError, OSError) as error:
            problem = str(error)
        self._begun(problem)

    def _confirmed(self, path):
        answer = QMessageBox.question(
            self,
            tr("Start anew?"),
            tr("There is a training of {} already. Start anew and forget it? (Resume goes on with it.)").format(
                Path(path).name
            ),
            QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No,
            QMessageBox.StandardButton.No,
        )
        return answer == QMessageBox.StandardButton.Yes

    def go_on(self) -> None:
        """Resume the training of the model named in the form, else the last one."""
        folder = self._resumable()
        if folder is not None:
            self._begun(self.desk.resume(folder))

    def _begun(self, problem):
        if problem:
            QMessageBox.warning(self, tr("Train Model"), problem)
            return
        self.tabs.setCurrentWidget(self.progress)
        self.update_state()

    def _resumable(self) -> Optional[Path]:
        """Folder of the training that can be gone on with."""
        if self.desk.running:
            return None
        try:
            folder = run_folder_of(self.settings.values()["model"])
        except LabelledDataError:
            folder = None
        if folder is not None and TrainingRun.kept_in(folder) is not None:
            return folder
        run = self.desk.run
        return run.folder if run is not None and run.resumable else None

    def _cancel(self):
        self.desk.run.cancel()
        self.update_state()

    def _ended(self):
        self.watch()
        self.progress.finish(self.desk.run)

    def update_state(self) -> None:
        """Which buttons can be pressed, and what is said of the run."""
        run, running = self.desk.run, self.desk.running
        self.start.setEnabled(not running)
        self.stop.setEnabled(running and not run.stopping and not run.cancelled)
        self.cancel.setEnabled(running and not run.cancelled)
        self.resume.setEnabled(self._resumable() is not None)
        self.detect.setEnabled(run is not None and run.has_model)
        self.progress.show_state(run)
        if running and self.isVisible() and not self._timer.isActive():
            self._timer.start()
            self.watch()
        elif not running:
            self._timer.stop()

    def watch(self) -> None:
        """Look into the run folder."""
        if self.desk.run is not None:
            self.progress.watch(self.desk.run)

    def showEvent(self, event) -> None:  # noqa: N802
        """A training that went on meanwhile is shown as it is now."""
        super().showEvent(event)
        self.update_state()
        self.watch()

    def hideEvent(self, event) -> None:  # noqa: N802
        """Nobody looks: the training goes on, the looking does not."""
        super().hideEvent(event)
        self._timer.stop()

    def close_down(self) -> None:
        """Let go of project and engine, before the dialog is deleted."""
        self._timer.stop()
        if self._inspection is not None:
            self._inspection.ended.disconnect(self._inspected)
            self._inspection.cancel()
        self.source.close_down()
