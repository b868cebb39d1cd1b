"""Which detections go into an export or a report: by decision and by probability, the most probable first."""

from dataclasses import dataclass
from typing import Dict, List, Optional

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsField,
    QgsFields,
    QgsGeometry,
)

from ..compat import REAL, TEXT
from .fields import ACCEPTED, BEGIN, DECISION, END, REJECTED, UNSURE
from .period import Period, iso

WGS84 = "EPSG:4326"
CHOICES = ("all but rejected", "accepted only", "accepted and unsure", "all")


@dataclass(frozen=True)
class Selection:
    """Detections with the fields that are common to every format."""

    fields: QgsFields
    features: List[QgsFeature]
    crs: QgsCoordinateReferenceSystem
    decisions: Dict[str, int]
    """How many have each decision; an empty text for those that nobody has looked at."""
    left_out: int

    @property
    def area_m2(self) -> Optional[float]:
        """Their area; None where it is unknown."""
        values = [feature["area_m2"] for feature in self.features]
        return None if any(value == NULL for value in values) else float(sum(values))


def select(source, choice: str, min_probability: float = 0.0, period: Optional[Period] = None) -> Selection:
    """Take the detections of a layer or a Processing source that are wanted.

    Args:
        source: a table of detections.
        choice: one of CHOICES.
        min_probability: leave out what has a lower highest probability.
        period: when the scene was taken; written into the time fields where they are missing.
    """
    fields = _fields(source.fields(), period)
    known = source.fields().names()
    to_lonlat = _lonlat(source.sourceCrs())
    chosen, decisions, left_out = [], {}, 0
    for feature in source.getFeatures():
        decision = str(feature[DECISION] or "") if DECISION in known else ""
        probability = feature["max_prob"]
        if not _wanted(decision, choice) or (probability != NULL and probability < min_probability):
            left_out += 1
            continue
        decisions[decision] = decisions.get(decision, 0) + 1
        chosen.append(_row(feature, fields, known, to_lonlat, period))
    chosen.sort(key=lambda f: (-_number(f["max_prob"]), -_number(f["area_m2"]), _number(f["id"])))
    return Selection(fields, chosen, source.sourceCrs(), decisions, left_out)


def _wanted(decision, choice):
    if choice == CHOICES[0]:
        return decision != REJECTED
    if choice == CHOICES[1]:
        return decision == ACCEPTED
    if choice == CHOICES[2]:
        return decision in (ACCEPTED, UNSURE)
    return True


def _number(value):
    return 0.0 if value == NULL else float(value)


def _fields(own: QgsFields, period) -> QgsFields:
    """The layer's fields without the file's row number, with position and time even where it has none."""
    fields = QgsFields()
    for field in own:
        # A row number belongs to one file; formats that need one make their own.
        if field.name().lower() not in ("fid", "ogc_fid"):
            fields.append(QgsField(field.name(), field.type(), "", field.length(), field.precision()))
    names = fields.names()
    for name in ("lon", "lat"):
        if name not in names:
            fields.append(QgsField(name, REAL))
    if period:
        for name in (BEGIN, END):
            if name not in names:
                fields.append(QgsField(name, TEXT, "", 20))
    return fields


def _row(feature, fields, known, to_lonlat, period):
    row = QgsFeature(fields)
    for name in fields.names():
        if name in known:
            row[name] = feature[name]
    geometry = feature.geometry()
    row.setGeometry(geometry if geometry.isGeosValid() else geometry.makeValid())
    if to_lonlat is not None and ("lon" not in known or row["lon"] == NULL):
        centre = QgsGeometry(row.geometry().centroid())
        centre.transform(to_lonlat)
        row["lon"], row["lat"] = centre.asPoint().x(), centre.asPoint().y()
    if period and (BEGIN not in known or row[BEGIN] == NULL):
        row[BEGIN], row[END] = iso(period.begin), iso(period.end)
    return row


def has_place(crs: QgsCoordinateReferenceSystem) -> bool:
    """Whether a CRS places things on Earth; GeoPackage has some of its own for `undefined`, valid to QGIS."""
    return crs.isValid() and not crs.description().startswith("Undefined")


def _lonlat(crs):
    if not has_place(crs):
        return None
    return QgsCoordinateTransform(crs, QgsCoordinateReferenceSystem(WGS84), QgsCoordinateTransformContext())
