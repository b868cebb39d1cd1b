"""The detection that is looked at, outlined on the map and in its middle."""

from qgis.core import QgsCoordinateTransform, QgsGeometry, QgsProject, QgsRectangle
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtGui import QColor

from ..compat import POLYGON_GEOMETRY
from ..results.lengths import units_per_metre
from ..results.runs import Run

SURROUNDINGS = 4.0
SMALLEST_VIEW_M = 500.0


class Spotlight:
    """An outline on the canvas, which goes to what it is around."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self._canvas = canvas
        self._mark = QgsRubberBand(canvas, POLYGON_GEOMETRY)
        self._mark.setStrokeColor(QColor("#00ffff"))
        self._mark.setFillColor(QColor(0, 0, 0, 0))
        self._mark.setWidth(2)

    def show(self, geometry: QgsGeometry, run: Run) -> None:
        """Outline a detection of a run, and zoom to it."""
        if geometry.isEmpty():
            return
        self._mark.setToGeometry(geometry, run.detections.crs())
        self._canvas.setExtent(view_of(geometry, run, self._canvas))
        self._canvas.refresh()

    def hide(self) -> None:
        """Outline nothing."""
        self._mark.reset(POLYGON_GEOMETRY)

    def remove(self) -> None:
        """Let go of the canvas."""
        self._canvas.scene().removeItem(self._mark)


def view_of(geometry: QgsGeometry, run: Run, canvas) -> QgsRectangle:
    """What the canvas shows of one detection: it in its surroundings, in the canvas's CRS."""
    box = geometry.boundingBox()
    crs = run.detections.crs()
    smallest = SMALLEST_VIEW_M * units_per_metre(crs, box.center())
    side = max(box.width() * SURROUNDINGS, box.height() * SURROUNDINGS, smallest)
    square = QgsRectangle.fromCenterAndSize(box.center(), side, side)
    target = canvas.mapSettings().destinationCrs()
    if not run.placed or not target.isValid() or target == crs:
        return square
    return QgsCoordinateTransform(crs, target, QgsProject.instance().transformContext()).transformBoundingBox(square)
