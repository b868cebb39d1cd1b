"""What is seen of a training: where it is, how long it will take, curves, pictures, and the engine's log."""

import time
from typing import Optional

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QFontDatabase
from qgis.PyQt.QtWidgets import QLabel, QPlainTextEdit, QProgressBar, QSplitter, QVBoxLayout, QWidget

from .training_curves import CurvesView
from .training_pictures import PicturesView
from .training_run import Curves, TrainingRun, pictures, read_curves, read_plan, tr


class ProgressView(QWidget):
    """The second page of the dialog."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.head, self.text = QLabel(tr("Nothing is being trained.")), QLabel()
        for label in (self.head, self.text):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.head.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        font = self.head.font()
        font.setBold(True)
        self.head.setFont(font)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.curves, self.pictures = CurvesView(), PicturesView()
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(2000)
        self.log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        left = QSplitter(Qt.Orientation.Vertical)
        left.addWidget(self.curves)
        left.addWidget(self.log)
        left.setStretchFactor(0, 3)
        left.setStretchFactor(1, 1)
        across = QSplitter(Qt.Orientation.Horizontal)
        across.addWidget(left)
        across.addWidget(self.pictures)
        across.setStretchFactor(0, 1)
        across.setStretchFactor(1, 0)
        box = QVBoxLayout(self)
        for widget in (self.head, self.bar, self.text):
            box.addWidget(widget)
        box.addWidget(across, 1)
        self._run: Optional[TrainingRun] = None
        self._written, self._stamp = 0, None

    def show_state(self, run: Optional[TrainingRun]) -> None:
        """Progress, text and log of a run; None before there is one."""
        if run is None:
            return
        if run is not self._run:
            self._run, self._written, self._stamp = run, 0, None
            self.log.clear()
        if len(run.lines) < self._written:
            self.log.clear()
            self._written = 0
        for line in run.lines[self._written :]:
            self.log.appendPlainText(line)
        self._written = len(run.lines)
        if run.running:
            self.bar.setValue(round(10 * run.task.progress()))
            self.text.setText(run.text)

    def watch(self, run: TrainingRun) -> None:
        """Read the run folder and show what is new."""
        curves = read_curves(run.folder)
        stamp = (len(curves), run.folder)
        if stamp != self._stamp:
            self._stamp = stamp
            self.curves.show_curves(curves)
        self.pictures.show_pictures(pictures(run.folder))
        if run.running:
            self.head.setText(_headline(run, curves, read_plan(run.folder)))
        else:
            self.finish(run)

    def finish(self, run: TrainingRun) -> None:
        """Say how it ended."""
        if run.running:
            return
        if run.result is not None:
            result = run.result
            how = tr("Stopped; the best model so far was kept") if result["stopped"] else tr("Finished")
            self.head.setText(
                tr("{} after {} epoch(s): {} is ready. Validation F1 {:.3f}, IoU {:.3f} at threshold {:.3g}.").format(
                    how, result["epochs"], run.model, result["best_f1"], result["best_iou"], result["threshold"]
                )
            )
            self.text.setText(
                tr("These are the scores of the data by which the model was chosen: measure it on other data with "
                   "Evaluate Model.")
            )  # fmt: skip
            self.bar.setValue(1000)
        elif run.problem:
            self.head.setText(tr("The training failed: {}").format(run.problem))
            self.text.setText(tr("Resume goes on from the last epoch finished.") if run.resumable else "")
        else:
            before = tr("Cancelled; {} is the model that was there before.").format(run.model)
            self.head.setText(before if run.has_model else tr("Cancelled; no model was written."))
            self.text.setText(tr("Resume goes on from the last epoch finished.") if run.resumable else "")


def _headline(run: TrainingRun, curves: Curves, plan: dict) -> str:
    epochs, device = run.request["epochs"], plan.get("device", "")
    parts = [tr("Epoch {} of at most {}").format((curves.epoch[-1] if len(curves) else 0) + 1, epochs)]
    if len(curves):
        parts[0] = tr("{} of at most {} epochs done").format(curves.epoch[-1], epochs)
        best = curves.best[-1] if curves.best else len(curves) - 1
        parts.append(tr("best F1 {:.3f} (epoch {})").format(curves.values["f1"][best], curves.epoch[best]))
    left = run.seconds_left(curves)
    parts.append(
        tr("time left: {} at most").format(duration(left)) if left is not None else tr("time left: not yet known")
    )
    parts.append(tr("running for {}").format(duration(time.monotonic() - run.began)))
    return ", ".join([*parts, *([str(device)] if device else [])]) + "."


def duration(seconds: float) -> str:
    """A time as a person says it."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return tr("{} s").format(round(seconds))
    if minutes < 60:
        return tr("{} min").format(minutes)
    return tr("{} h {} min").format(minutes // 60, minutes % 60)
