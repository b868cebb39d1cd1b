"""One training in the background: the engine's process in a task of QGIS, and what its folder says of it.

The run belongs to nobody's window: a dialog looks at it, goes away and comes back. What happens is read from the run
folder, where the engine replaces each file whole, so a training that was started elsewhere looks the same.
"""

import csv
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional

from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import QCoreApplication, QObject, QThreadPool, pyqtSignal

from ..engine_environment import find_engine
from ..engine_process import EngineCancelled, EngineError, EngineProcess

REQUEST, LOG, PLAN, STATE, STOP = "request.json", "log.csv", "plan.json", "state.json", "stop"
PICTURES = ("colour", "truth", "prediction")
SERIES = ("train_loss", "validation_loss", "f1", "iou", "precision", "recall", "learning_rate", "seconds")
LATEST = 5
"""Epochs over which the time of the next is estimated."""


def tr(text: str) -> str:
    """Translate a text of the user interface."""
    return QCoreApplication.translate("MarineDebris", text)


def run_folder_of(model: str) -> Path:
    """Where the training of a model keeps what it needs, beside the model."""
    path = Path(model).absolute()
    return path.with_name(f"{path.stem}.training")


class EngineTask(QgsTask):
    """One engine job in a thread of QGIS's task manager; its signals arrive in the main thread."""

    told = pyqtSignal(str, str)
    """Kind (progress, info, warning, error) and text."""
    ended = pyqtSignal(object, str)
    """The job's result, or None and why: an empty text where it was cancelled."""

    def __init__(self, title: str, job: str, request: dict, outputs=()) -> None:
        """May raise EngineNotFound; called in the main thread."""
        # Not CancelWithoutPrompt: QGIS must ask before it quits over a training, as it does over tasks of this kind.
        super().__init__(title, QgsTask.Flag.CanCancel)
        self._process = EngineProcess(find_engine())
        self._job, self._request, self._outputs = job, request, outputs
        self._result: Optional[dict] = None
        self._problem = ""

    def run(self) -> bool:
        """Run the job; called in a thread of its own."""
        # This thread only waits, for hours maybe: until QGIS 3.26 it would take one of those that draw the map.
        QThreadPool.globalInstance().releaseThread()
        try:
            return self._succeeds()
        finally:
            QThreadPool.globalInstance().reserveThread()

    def _succeeds(self) -> bool:
        try:
            self._result = self._process.run(self._job, self._request, self, self._outputs)
        except EngineCancelled:
            return False
        except EngineError as error:
            self._problem = str(error)
            return False
        except Exception as error:  # a bug must end the run with a message, not leave it running for ever
            self._problem = f"{type(error).__name__}: {error}"
            return False
        return True

    def finished(self, successful: bool) -> None:
        """Called in the main thread, also for a task that was cancelled before it began."""
        self.ended.emit(self._result, self._problem)

    # What the engine's process calls of a feedback, in the task's thread; setProgress and isCanceled are QgsTask's.

    def setProgressText(self, text: str) -> None:  # noqa: N802
        """What the engine is doing."""
        self.told.emit("progress", text)

    def pushInfo(self, text: str) -> None:  # noqa: N802
        """A line of its log."""
        self.told.emit("info", text)

    def pushWarning(self, text: str) -> None:  # noqa: N802
        """A warning of its log."""
        self.told.emit("warning", text)

    def reportError(self, text: str, fatal: bool = False) -> None:  # noqa: N802
        """An error of its log."""
        self.told.emit("error", text)


@dataclass
class Curves:
    """The epochs so far, as lists of one length; `best` holds the rows in which the best model became better."""

    epoch: List[int] = field(default_factory=list)
    values: Dict[str, List[float]] = field(default_factory=lambda: {name: [] for name in SERIES})
    best: List[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.epoch)


def read_curves(folder: Path) -> Curves:
    """The run folder's log; empty where there is none yet, and without a last line that is not whole."""
    curves = Curves()
    try:
        rows = list(csv.DictReader((folder / LOG).read_text(encoding="utf-8").splitlines()))
    except OSError:
        return curves
    for row in rows:
        if None in row.values():
            continue  # its end is still to come
        try:
            epoch = int(float(row["epoch"]))
            numbers = [float(row[name]) if row.get(name) not in (None, "") else float("nan") for name in SERIES]
        except (KeyError, TypeError, ValueError):
            continue
        curves.epoch.append(epoch)
        for name, number in zip(SERIES, numbers):
            curves.values[name].append(number)
        if str(row.get("best", "")).strip().lower() in ("1", "true", "yes", "1.0"):
            curves.best.append(len(curves) - 1)
    return curves


def read_plan(folder: Path) -> dict:
    """The run folder's plan; empty where there is none yet."""
    try:
        plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return plan if isinstance(plan, dict) else {}


def pictures(folder: Path) -> List[List[Path]]:
    """The latest validation pictures: rows of colour, truth and prediction."""
    first = sorted((folder / "previews").glob(f"*_{PICTURES[0]}.png"))
    rows = [[path.with_name(path.name.replace(PICTURES[0], kind)) for kind in PICTURES] for path in first]
    return [row for row in rows if all(path.is_file() for path in row)]


class TrainingRun(QObject):
    """A training from its start to its end, and resumed as often as wanted."""

    changed = pyqtSignal()
    """Something that is shown has changed."""
    ended = pyqtSignal()

    def __init__(self, request: dict, parent=None) -> None:
        """`request` is one of the engine's job `train`, without run_folder, resume and job_id."""
        super().__init__(parent)
        self.folder = run_folder_of(request["model"])
        self.request = {**request, "run_folder": str(self.folder)}
        self.task: Optional[EngineTask] = None
        self.result: Optional[dict] = None
        self.problem, self.text, self.cancelled, self.stopping = "", "", False, False
        self.lines: List[str] = []
        self.began = 0.0

    @classmethod
    def kept_in(cls, folder: Path, parent=None) -> Optional["TrainingRun"]:
        """The run whose folder this is, or None where it cannot be gone on from."""
        try:
            request = json.loads((Path(folder) / REQUEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not (Path(folder) / STATE).is_file() or not isinstance(request, dict) or not request.get("model"):
            return None
        return cls(request, parent)

    @property
    def running(self) -> bool:
        """Whether the engine is at work, or will be at once."""
        return self.task is not None

    @property
    def resumable(self) -> bool:
        """Whether there is a state to go on from."""
        return not self.running and (self.folder / STATE).is_file()

    @property
    def model(self) -> str:
        """The model file that this run writes."""
        return self.request["model"]

    @property
    def has_model(self) -> bool:
        """Whether there is a model to use: of this run, or one that an earlier end of it left and nothing changed."""
        return not self.running and Path(self.model).is_file()

    def start(self, resume: bool = False) -> None:
        """Start, or go on from the last epoch finished.

        Raises:
            EngineNotFound: there is no engine; OSError: the run folder cannot be written to.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / STOP).unlink(missing_ok=True)
        if not resume:
            self._forget()
        (self.folder / REQUEST).write_text(json.dumps(self.request, indent=2), encoding="utf-8")
        request = {**self.request, "resume": resume}
        outputs = [request[name] for name in ("model", "report", "log_csv") if request.get(name)]
        # QGIS shows it in its list of tasks, and where it asks before it quits.
        title = tr("Training the model {} (if cancelled, it can be resumed)").format(Path(self.model).stem)
        task = EngineTask(title, "train", request, outputs)
        task.told.connect(self._told)
        task.ended.connect(self._ended)
        self.result, self.problem, self.cancelled, self.stopping = None, "", False, False
        self.text, self.lines, self.began = tr("Starting…"), [], time.monotonic()
        self.task = task
        QgsApplication.taskManager().addTask(task)
        self.changed.emit()

    def _forget(self) -> None:
        """Curves and pictures of an earlier run would be taken for those of this one."""
        for path in [self.folder / name for name in (LOG, PLAN, STATE)]:
            path.unlink(missing_ok=True)
        for path in (self.folder / "previews").glob("*.png"):
            path.unlink(missing_ok=True)

    def stop(self) -> None:
        """End the training after the batch it is at, and keep the best model so far."""
        if self.running:
            (self.folder / STOP).write_text("stop\n", encoding="utf-8")
            self.stopping, self.text = True, tr("Stopping; the best model so far is kept…")
            self.changed.emit()

    def cancel(self) -> None:
        """End the training at once; what was learnt stays in the run folder."""
        if self.task is not None:
            self.cancelled = True
            self.task.cancel()

    def seconds_left(self, curves: Curves) -> Optional[float]:
        """Estimated from the latest epochs, up to the last one asked for; None before the first."""
        seconds = [value for value in curves.values["seconds"][-LATEST:] if value == value]
        if not seconds:
            return None
        return max(0, self.request["epochs"] - curves.epoch[-1]) * sum(seconds) / len(seconds)

    def _told(self, kind: str, text: str) -> None:
        if kind == "progress":
            if self.stopping:
                # Asked for before the engine had made its folder ready, the wish would have been cleared away.
                (self.folder / STOP).touch()
            else:
                self.text = text
        else:
            self.lines.append(text if kind == "info" else f"{kind}: {text}")
        self.changed.emit()

    def _ended(self, result: Optional[dict], problem: str) -> None:
        self.task, self.result, self.problem = None, result, problem
        # Also where QGIS's task manager has cancelled it.
        self.cancelled = result is None and not problem
        (self.folder / STOP).unlink(missing_ok=True)
        self.text = ""
        self.changed.emit()
        self.ended.emit()
