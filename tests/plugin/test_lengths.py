"""Metres in map units, against the ellipsoid."""

from __future__ import annotations

from math import cos, radians

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsGeometry,
    QgsPointXY,
)

from debris_qgis.results.lengths import axis_units_per_metre, to_metres, units_per_metre

WGS84 = QgsCoordinateReferenceSystem("EPSG:4326")


def at(crs, lon, lat):
    return QgsCoordinateTransform(WGS84, crs, QgsCoordinateTransformContext()).transform(QgsPointXY(lon, lat))


@pytest.mark.parametrize(
    ("epsg", "lon", "lat", "expected", "tolerance"),
    [
        (32632, 9.0, 58.0, 1.0, 1e-3),
        # Mercator's metres grow with 1 / cos(latitude), on the ellipsoid not exactly so.
        (3857, 9.0, 58.0, 1 / cos(radians(58)), 5e-3),
        (3857, 9.0, 0.0, 1.0, 7e-3),
        # California in feet of the US survey.
        (2225, -122.0, 40.5, 3937 / 1200, 1e-3),
    ],
)
def test_a_metre_in_map_units(epsg, lon, lat, expected, tolerance):
    crs = QgsCoordinateReferenceSystem(f"EPSG:{epsg}")
    assert units_per_metre(crs, at(crs, lon, lat)) == pytest.approx(expected, rel=tolerance)
    assert axis_units_per_metre(crs, at(crs, lon, lat)) == pytest.approx((expected, expected), rel=tolerance)


def test_a_metre_in_degrees_is_longer_across_than_up():
    across, up = axis_units_per_metre(WGS84, QgsPointXY(9.0, 60.0))
    assert up == pytest.approx(1 / 111_412, rel=1e-4)
    assert across == pytest.approx(1 / 55_800, rel=1e-4)
    assert units_per_metre(WGS84, QgsPointXY(9.0, 60.0)) == pytest.approx((across * up) ** 0.5)


def test_where_nothing_can_be_measured_units_are_taken_at_their_word():
    assert units_per_metre(QgsCoordinateReferenceSystem(), QgsPointXY(5, 5)) == 1.0
    feet = QgsCoordinateReferenceSystem("EPSG:2225")
    assert units_per_metre(feet, QgsPointXY(1e30, 1e30)) == pytest.approx(3937 / 1200, rel=1e-5)


@pytest.mark.parametrize("epsg", [4326, 3857, 32632])
def test_shapes_are_measured_in_metres_around_a_place(epsg):
    crs = QgsCoordinateReferenceSystem(f"EPSG:{epsg}")
    across, up = (QgsGeometry.fromPointXY(at(crs, 9.0 + dx, 58.0 + dy)) for dx, dy in ((0.01, 0), (0, 0.01)))
    middle = at(crs, 9.0, 58.0)
    for shape, metres in ((across, 591.3), (up, 1113.7)):
        shape.transform(to_metres(crs, middle))
        assert shape.distance(QgsGeometry.fromPointXY(QgsPointXY(0, 0))) == pytest.approx(metres, rel=1e-3)


def test_shapes_without_a_place_on_earth_stay_as_they_are():
    shape = QgsGeometry.fromPointXY(QgsPointXY(3, 4))
    shape.transform(to_metres(QgsCoordinateReferenceSystem(), QgsPointXY(0, 0)))
    assert shape.asPoint() == QgsPointXY(3, 4)
