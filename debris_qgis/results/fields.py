"""The fields of detections that people fill in, and those that tell the time; kept in the file of the detections."""

from datetime import datetime, timezone
from typing import Optional

from qgis.core import QgsField, QgsVectorLayer

from ..compat import ADD_FIELDS, TEXT, TIMES_BY_EXPRESSION
from .period import Period, iso

DECISION, NOTE, DECIDED = "decision", "note", "decided_at"
BEGIN, END = "time_begin", "time_end"
ACCEPTED, REJECTED, UNSURE = "accepted", "rejected", "unsure"
DECISIONS = (ACCEPTED, REJECTED, UNSURE)
MEASURED = ("id", "area_m2", "n_pixels", "mean_prob", "max_prob")
"""What a layer must have to be taken for detections."""
_LENGTHS = {DECISION: 10, NOTE: 0, DECIDED: 20, BEGIN: 20, END: 20}


class FieldsError(Exception):
    """The fields cannot be added; the message says why and what to do."""


def is_detections(layer) -> bool:
    """Whether a layer is a table of detections."""
    return isinstance(layer, QgsVectorLayer) and layer.isValid() and set(MEASURED) <= set(layer.fields().names())


def ensure_fields(layer: QgsVectorLayer, period: Optional[Period] = None) -> None:
    """Add the fields for decisions, and the two for the time where it is known, unless they are there.

    Times are texts as 2018-10-31T10:20:19Z: they sort, and every format keeps them in UTC.

    Raises:
        FieldsError: the file cannot be changed.
    """
    wanted = [DECISION, NOTE, DECIDED] + ([BEGIN, END] if period else [])
    missing = [name for name in wanted if name not in layer.fields().names()]
    if missing:
        provider = layer.dataProvider()
        new = [QgsField(name, TEXT, "", _LENGTHS[name]) for name in missing]
        if not provider.capabilities() & ADD_FIELDS or not provider.addAttributes(new):
            raise FieldsError(
                f"{layer.name()} cannot take decisions: its file is read-only or of a format that cannot be changed. "
                "Save it as a GeoPackage and add that to the project."
            )
        layer.updateFields()
    if period and BEGIN in missing:
        _fill_time(layer, period)


def _fill_time(layer, period):
    provider = layer.dataProvider()
    begin, end = (layer.fields().indexOf(name) for name in (BEGIN, END))
    times = {begin: iso(period.begin), end: iso(period.end)}
    provider.changeAttributeValues({feature.id(): times for feature in layer.getFeatures()})


def decide(layer: QgsVectorLayer, fid: int, decision: Optional[str], note: Optional[str] = None) -> None:
    """Write a decision, and a note where one is given, into the file at once.

    Raises:
        FieldsError: the file does not take it.
    """
    fields = layer.fields()
    values = {fields.indexOf(DECISION): decision, fields.indexOf(DECIDED): now() if decision else None}
    if note is not None:
        values[fields.indexOf(NOTE)] = note or None
    if not layer.dataProvider().changeAttributeValues({fid: values}):
        raise FieldsError(f"The decision cannot be written into {layer.name()}: is its file read-only?")


def write_note(layer: QgsVectorLayer, fid: int, note: str) -> None:
    """Write a note alone.

    Raises:
        FieldsError: the file does not take it.
    """
    if not layer.dataProvider().changeAttributeValues({fid: {layer.fields().indexOf(NOTE): note or None}}):
        raise FieldsError(f"The note cannot be written into {layer.name()}: is its file read-only?")


def now() -> str:
    """This moment in UTC."""
    return iso(datetime.now(timezone.utc))


def set_temporal(layer: QgsVectorLayer) -> bool:
    """Tell QGIS's temporal controller which fields hold the time; False where there are none."""
    names = layer.fields().names()
    temporal = layer.temporalProperties()
    if BEGIN in names and END in names:
        begin, end = f'to_datetime("{BEGIN}")', f'to_datetime("{END}")'
    elif "sensing_time" in names:
        begin = end = 'to_datetime("sensing_time")'
    else:
        return False
    temporal.setMode(TIMES_BY_EXPRESSION)
    temporal.setStartExpression(begin)
    temporal.setEndExpression(end)
    temporal.setIsActive(True)
    return True
