"""Opening rasters without leaving anything beside them, and without a word where they are none."""

from contextlib import contextmanager
from threading import Lock
from typing import Optional

from osgeo import gdal
from qgis.core import QgsRasterLayer

PAM = "GDAL_PAM_ENABLED"


class _Switch:
    """Turns side files off while anybody needs that; the last one to go puts back what was set before the first.

    GDAL's setting holds for the whole process, and a task in the background and the main thread may need it at once.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._before: Optional[str] = None

    def off(self) -> None:
        with self._lock:
            if not self._users:
                self._before = gdal.GetConfigOption(PAM)
                gdal.SetConfigOption(PAM, "NO")
            self._users += 1

    def back(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                gdal.SetConfigOption(PAM, self._before)


_side_files = _Switch()


@contextmanager
def no_side_files():
    """Nothing opened in here writes an .aux.xml file.

    QGIS counts a new layer's values to choose its colours, and GDAL would keep the counts beside the file: in a
    person's folder of images, because somebody looked.
    """
    _side_files.off()
    try:
        yield
    finally:
        _side_files.back()


def opened(path: str) -> Optional[gdal.Dataset]:
    """The raster at a path; None where GDAL knows none there, as for a folder, without a line on standard error."""
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    try:
        return gdal.Open(path)
    except RuntimeError:
        return None
    finally:
        gdal.PopErrorHandler()


def raster_layer(path: str, name: str, provider: str = "gdal") -> QgsRasterLayer:
    """A raster layer; nothing is written beside its file."""
    with no_side_files():
        return QgsRasterLayer(path, name, provider)
