"""The way into a CRS in which metres are metres, for what is measured between shapes, and back."""

from typing import Tuple

from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsCoordinateTransformContext, QgsPointXY

from .lengths import axis_units_per_metre, to_metres

# A projection that keeps lengths to within this share, as UTM does, is taken at its word: pixels stay where they are.
TOLERATED_DISTORTION = 0.0025


def there_and_back(
    crs: QgsCoordinateReferenceSystem, place: QgsPointXY
) -> Tuple[QgsCoordinateTransform, QgsCoordinateTransform]:
    """Transforms from a CRS into one in metres around a place, and back; both change nothing where its own will do."""
    if all(abs(units - 1) <= TOLERATED_DISTORTION for units in axis_units_per_metre(crs, place)):
        return QgsCoordinateTransform(), QgsCoordinateTransform()
    there = to_metres(crs, place)
    return there, QgsCoordinateTransform(there.destinationCrs(), crs, QgsCoordinateTransformContext())
