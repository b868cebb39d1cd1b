"""The Processing provider: the algorithms under one name and icon."""

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .about import ICON, version
from .algorithms import ALGORITHMS


class MarineDebrisProvider(QgsProcessingProvider):
    """Provider `debris`."""

    def id(self):
        """The part of an algorithm's id before the colon."""
        return "debris"

    def name(self):
        """The name in the toolbox."""
        return "Marine Debris"

    def longName(self):  # noqa: N802
        """The name with its version."""
        return f"Marine Debris {version()}"

    def versionInfo(self):  # noqa: N802
        """The plugin's version."""
        return version()

    def icon(self):
        """The icon in the toolbox."""
        return QIcon(str(ICON))

    def svgIconPath(self):  # noqa: N802
        """The same icon, for where QGIS wants a path."""
        return str(ICON)

    def supportedOutputRasterLayerExtensions(self):  # noqa: N802
        """What the engine writes rasters as; QGIS offers and accepts no other."""
        return ["tif", "tiff"]

    def supportedOutputVectorLayerExtensions(self):  # noqa: N802
        """What the engine writes detections as."""
        return ["gpkg", "geojson", "shp", "fgb"]

    def loadAlgorithms(self):  # noqa: N802
        """Add every algorithm."""
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())
