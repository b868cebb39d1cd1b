"""Metres on the ground in the units of a CRS, at one place: feet, degrees and Mercator's metres are no such metres."""

from math import isfinite, sqrt
from typing import Optional, Tuple

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsDistanceArea,
    QgsPointXY,
    QgsUnitTypes,
)

from .selection import WGS84, has_place

WGS84_ELLIPSOID = "EPSG:7030"
STEP_M = 100.0
STEP_DEGREES = 0.001


def units_per_metre(
    crs: QgsCoordinateReferenceSystem, place: QgsPointXY, context: Optional[QgsCoordinateTransformContext] = None
) -> float:
    """How many map units a metre on the ground is, at a place in the CRS; the mean of both axes, so that areas hold.

    Degrees differ much between the axes away from the equator: where that matters, `axis_units_per_metre` tells them
    apart, and shapes are measured best after `to_metres`. Without a place on Earth a unit is taken for a metre.

    Args:
        crs: of the place, and of what is to be measured.
        place: where.
        context: of the project's transformations; the usual ones where None.
    """
    across, up = axis_units_per_metre(crs, place, context)
    return sqrt(across * up)


def axis_units_per_metre(
    crs: QgsCoordinateReferenceSystem, place: QgsPointXY, context: Optional[QgsCoordinateTransformContext] = None
) -> Tuple[float, float]:
    """The same along x and along y."""
    if not has_place(crs):
        return 1.0, 1.0
    step = STEP_DEGREES if crs.isGeographic() else STEP_M / _metres_a_unit(crs)
    measure = QgsDistanceArea()
    measure.setSourceCrs(crs, context or QgsCoordinateTransformContext())
    measure.setEllipsoid(WGS84_ELLIPSOID)
    metres = [_between(measure, place, dx, dy) for dx, dy in ((step, 0.0), (0.0, step))]
    # Outside of a CRS's own area nothing can be measured: its units are all there is.
    across, up = (2 * step / length if length > 0 else 1 / _metres_a_unit(crs) for length in metres)
    return across, up


def to_metres(
    crs: QgsCoordinateReferenceSystem, place: QgsPointXY, context: Optional[QgsCoordinateTransformContext] = None
) -> QgsCoordinateTransform:
    """The way from a CRS into one in metres around a place: distances from there are true, and nearly so beside it.

    Without a place on Earth nothing is changed on the way.
    """
    context = context or QgsCoordinateTransformContext()
    if not has_place(crs):
        return QgsCoordinateTransform()
    lonlat = QgsCoordinateTransform(crs, QgsCoordinateReferenceSystem(WGS84), context).transform(place)
    local = QgsCoordinateReferenceSystem.fromProj(
        f"+proj=aeqd +lat_0={lonlat.y():.8f} +lon_0={lonlat.x():.8f} +datum=WGS84 +units=m +no_defs"
    )
    return QgsCoordinateTransform(crs, local, context)


def _between(measure: QgsDistanceArea, place: QgsPointXY, dx: float, dy: float) -> float:
    """Metres between two points on either side of a place; 0 where they cannot be measured."""
    ends = [QgsPointXY(place.x() + sign * dx, place.y() + sign * dy) for sign in (-1, 1)]
    try:
        length = measure.measureLine(*ends)
    except QgsCsException:
        return 0.0
    return length if isfinite(length) else 0.0


def _metres_a_unit(crs: QgsCoordinateReferenceSystem) -> float:
    return QgsUnitTypes.fromUnitToUnitFactor(crs.mapUnits(), QgsUnitTypes.DistanceUnit.DistanceMeters)
