"""Reading a run's rasters in the background: what was observed, and what there is at every threshold."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Callable, Container, Dict, Optional

from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import QCoreApplication

from ..algorithms.layer_crs import crs_set_by_hand
from ..results.areas import Areas, areas_of
from ..results.probability_index import ProbabilityIndex
from ..results.projections import fresh_projections
from ..results.runs import Run


@dataclass
class Scan:
    """What was read of a run's rasters; None where a raster is not there."""

    areas: Optional[Areas] = None
    index: Optional[ProbabilityIndex] = None
    problem: str = ""


class ScanTask(QgsTask):
    """Reads mask and probability once, whatever the number of thresholds looked at afterwards."""

    def __init__(self, run: Run, done) -> None:
        """`done` is called in the main thread with this task and what was read, None where it was cancelled."""
        name = QCoreApplication.translate("MarineDebris", "Reading the results of {}").format(run.name)
        super().__init__(name, QgsTask.Flag.CanCancel)
        self.key = run.detections.id()
        # What is to be known of layers, not these: they belong to the main thread.
        self._mask = run.mask.source() if run.mask is not None else ""
        self._mask_crs = crs_set_by_hand(run.mask) if run.mask is not None else None
        self._probability = run.probability.source() if run.probability is not None else ""
        self._probability_crs = crs_set_by_hand(run.probability) if run.probability is not None else None
        self._done = done
        self._found = Scan()

    def run(self) -> bool:
        """Read; called in a thread of its own."""
        fresh_projections()
        try:
            if self._mask:
                self._found.areas = areas_of(self._mask, self._mask_crs)
            if self._probability and not self.isCanceled():
                self._found.index = ProbabilityIndex(self._probability, self.isCanceled, self._probability_crs)
        except RuntimeError as error:
            self._found.problem = str(error)
            return False
        return not self.isCanceled()

    def finished(self, successful: bool) -> None:
        """Called in the main thread."""
        self._done(self, None if self.isCanceled() else self._found)


class Scans:
    """What was read of the runs' rasters; those of one run are read at a time."""

    def __init__(self, done: Callable[[str, Optional[Scan]], None]) -> None:
        """`done` is called with the id of the detections' layer and what was read, None where a person cancelled it."""
        self._done = done
        self._read: Dict[str, Scan] = {}
        self._task: Optional[ScanTask] = None

    def of(self, run: Optional[Run]) -> Optional[Scan]:
        """What was read of a run's rasters; None while they are read, or where nobody did."""
        return self._read.get(run.detections.id()) if run is not None else None

    def keep(self, keys: Container[str]) -> None:
        """Forget all other layers of detections."""
        self._read = {key: scan for key, scan in self._read.items() if key in keys}

    def start(self, run: Run, anew: bool = False) -> None:
        """Read a run's rasters, unless that was done, or there are none."""
        key = run.detections.id()
        if anew:
            self._read.pop(key, None)
        if key in self._read or (run.mask is None and run.probability is None):
            return
        self.cancel()
        self._task = ScanTask(run, self._ended)
        QgsApplication.taskManager().addTask(self._task)

    @property
    def busy(self) -> bool:
        """Whether something is being read."""
        return self._task is not None

    def cancel(self) -> None:
        """Stop reading."""
        task, self._task = self._task, None
        # QGIS deletes tasks, the last ones as it ends.
        with suppress(RuntimeError):
            if task is not None:
                task.cancel()

    def _ended(self, task: ScanTask, scan: Optional[Scan]) -> None:
        # Of a task that was given up for another, or with the panel, nobody wants to know.
        if task is not self._task:
            return
        # QGIS deletes a task that has ended.
        self._task = None
        if scan is not None:
            self._read[task.key] = scan
        self._done(task.key, scan)
