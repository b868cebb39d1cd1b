"""What holds the training while windows come and go: at most one at a time.

QGIS itself asks before it quits over it, since it is one of QGIS's tasks; answered with Yes it is cancelled, and can be
resumed later. (An exit blocker would come too late: QGIS asks those after it has dealt with its tasks.)
"""

from pathlib import Path
from typing import Optional

from qgis.core import Qgis
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..engine_environment import EngineNotFound
from .training_run import TrainingRun, tr

WAIT_MS = 5000
"""For the engine to end, when the plugin is taken away."""


class TrainingDesk(QObject):
    """The training that runs, or ran last."""

    changed = pyqtSignal()
    """Another run, or something of this one."""
    ended = pyqtSignal()

    def __init__(self, iface=None, parent=None) -> None:
        super().__init__(parent)
        self.iface = iface
        self.run: Optional[TrainingRun] = None

    @property
    def running(self) -> bool:
        """Whether a model is being trained."""
        return self.run is not None and self.run.running

    def start(self, request: dict) -> str:
        """Start a training; what prevents it, or an empty text."""
        return self._begin(TrainingRun(request, self), resume=False)

    def resume(self, folder: Path) -> str:
        """Go on with the training whose folder this is; what prevents it, or an empty text."""
        run = TrainingRun.kept_in(folder, self)
        if run is None:
            return tr("There is no training to go on with in {}.").format(folder)
        return self._begin(run, resume=True)

    def _begin(self, run, resume):
        if self.running:
            return tr("A model is being trained already: stop it first.")
        try:
            run.start(resume)
        except (EngineNotFound, OSError) as error:
            run.deleteLater()
            return str(error)
        if self.run is not None:
            self.run.deleteLater()
        self.run = run
        run.changed.connect(self.changed)
        run.ended.connect(self._run_ended)
        self.changed.emit()
        return ""

    def _run_ended(self):
        self.changed.emit()
        self.ended.emit()
        if self.iface is None:
            return
        run, bar = self.run, self.iface.messageBar()
        title = tr("Train Model")
        if run.result is not None:
            text = tr("{} is ready: validation F1 {:.3f}.").format(Path(run.model).name, run.result["best_f1"])
            bar.pushMessage(title, text, Qgis.MessageLevel.Success)
        elif run.problem:
            bar.pushMessage(title, run.problem.splitlines()[0], run.problem, Qgis.MessageLevel.Critical)

    def close_down(self) -> None:
        """End what runs, and wait until the engine has gone: without the plugin nobody would look after it."""
        task = self.run.task if self.run is not None else None
        if task is not None:
            self.run.cancel()
            task.waitForFinished(WAIT_MS)
