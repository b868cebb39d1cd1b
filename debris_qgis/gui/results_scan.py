"""Reading a run's rasters in the background: what was observed, and what there is at every threshold."""

from dataclasses import dataclass
from typing import Optional

from qgis.core import QgsTask
from qgis.PyQt.QtCore import QCoreApplication

from ..results.areas import Areas, areas_of
from ..results.probability_index import ProbabilityIndex
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
        """`done` is called in the main thread with the id of the detections' layer and what was read."""
        name = QCoreApplication.translate("MarineDebris", "Reading the results of {}").format(run.name)
        super().__init__(name, QgsTask.Flag.CanCancel)
        self.key = run.detections.id()
        # Paths alone: layers belong to the main thread.
        self._mask = run.mask.source() if run.mask is not None else ""
        self._probability = run.probability.source() if run.probability is not None else ""
        self._done = done
        self._found = Scan()

    def run(self) -> bool:
        """Read; called in a thread of its own."""
        try:
            if self._mask:
                self._found.areas = areas_of(self._mask)
            if self._probability and not self.isCanceled():
                self._found.index = ProbabilityIndex(self._probability, self.isCanceled)
        except RuntimeError as error:
            self._found.problem = str(error)
            return False
        return not self.isCanceled()

    def finished(self, successful: bool) -> None:
        """Called in the main thread."""
        # A cancelled task may end after the panel has gone.
        if not self.isCanceled():
            self._done(self.key, self._found)
