"""Opening rasters without leaving anything beside them, and without a word where they are none."""

from contextlib import contextmanager
from typing import Optional

from osgeo import gdal
from qgis.core import QgsRasterLayer

PAM = "GDAL_PAM_ENABLED"


@contextmanager
def no_side_files():
    """Nothing opened in here writes an .aux.xml file.

    QGIS counts a new layer's values to choose its colours, and GDAL would keep the counts beside the file: in a
    person's folder of images, because somebody looked.
    """
    before = gdal.GetConfigOption(PAM)
    gdal.SetConfigOption(PAM, "NO")
    try:
        yield
    finally:
        gdal.SetConfigOption(PAM, before)


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
