"""Areas in the threads of tasks, which QGIS ends when they have idled for half a minute."""

from __future__ import annotations

import time

import pytest
from osgeo import gdal
from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import QCoreApplication, QThreadPool

from debris_qgis.results.areas import row_areas
from debris_qgis.results.projections import fresh_projections

from .panel_driver import wait
from .results_data import write_run

IDLE = 0.3


class _Areas(QgsTask):
    """Measures the rows of a raster in a thread of its own."""

    def __init__(self, path: str, found: list) -> None:
        super().__init__("areas")
        self._path, self._found = path, found

    def run(self) -> bool:
        fresh_projections()
        self._found.append(row_areas(gdal.Open(self._path)))
        return True


@pytest.fixture
def pool():
    """Threads that end at once when they have nothing to do."""
    pool = QThreadPool.globalInstance()
    before = pool.expiryTimeout()
    pool.setExpiryTimeout(20)
    yield pool
    pool.setExpiryTimeout(before)


def test_areas_are_known_in_threads_that_come_after_others_have_ended(pool, tmp_path):
    path = write_run(tmp_path)["MASK"]
    found: list = []
    tasks = []
    for _ in range(4):
        tasks.append(_Areas(path, found))
        QgsApplication.taskManager().addTask(tasks[-1])
        wait(lambda: len(found) == len(tasks))
        row_areas(gdal.Open(path))
        end = time.monotonic() + IDLE
        while time.monotonic() < end:
            QCoreApplication.processEvents()
            time.sleep(0.01)
    assert all(areas is not None for areas in found)
    assert [float(areas[0]) for areas in found] == pytest.approx([float(found[0][0])] * 4)
