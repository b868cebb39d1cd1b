"""What people decided, as labels: polygons with MARIDA's class numbers, which Train Model takes."""

from dataclasses import dataclass
from typing import Iterable, List, Optional

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsField,
    QgsFields,
    QgsGeometry,
    QgsSpatialIndex,
    QgsVectorLayer,
)

from ..compat import TEXT, WHOLE
from .fields import ACCEPTED, DECISION, NOTE, REJECTED, is_detections
from .metric import there_and_back

CLASSES = {
    1: "Marine debris", 2: "Dense Sargassum", 3: "Sparse Sargassum", 4: "Natural organic material", 5: "Ship",
    6: "Clouds", 7: "Marine water", 8: "Sediment-laden water", 9: "Foam", 10: "Turbid water", 11: "Shallow water",
    12: "Waves", 13: "Cloud shadows", 14: "Wakes", 15: "Mixed water", 16: "Land",
}  # fmt: skip
"""MARIDA's classes (Kikaki et al. 2022, doi 10.1371/journal.pone.0262247); 16 is this project's."""
DEBRIS, WATER = 1, 7
FIELD = "class"
# Rings are drawn in few straight pieces: they are cut to pixels anyway.
SEGMENTS = 4


@dataclass(frozen=True)
class Label:
    """One polygon of a labelled set."""

    geometry: QgsGeometry
    number: int
    source: str
    """accepted, rejected, surroundings or drawn."""
    scene: str = ""
    note: str = ""


class CorrectionsError(Exception):
    """There is nothing to learn from; the message says what to do."""


def label_fields() -> QgsFields:
    """The fields of a labelled set."""
    fields = QgsFields()
    fields.append(QgsField(FIELD, WHOLE))
    for name in ("label", "source", "scene", "note"):
        fields.append(QgsField(name, TEXT))
    return fields


def as_feature(label: Label, fields: QgsFields) -> QgsFeature:
    """A label as a row of a layer."""
    feature = QgsFeature(fields)
    feature.setAttributes([label.number, CLASSES[label.number], label.source, label.scene, label.note])
    geometry = QgsGeometry(label.geometry)
    geometry.convertToMultiType()
    feature.setGeometry(geometry)
    return feature


def labels_from(
    tables: Iterable[QgsVectorLayer],
    rejected_class: int,
    ring_m: float,
    gap_m: float,
    crs: QgsCoordinateReferenceSystem,
) -> List[Label]:
    """Labels of decided detections, those that shall win where they overlap last.

    Args:
        tables: layers of detections.
        rejected_class: what rejected detections are.
        ring_m: how wide a ring of water around each decided detection is labelled too; 0 for none.
        gap_m: how far from any detection the ring begins: its edge is mixed.
        crs: of the labels.

    Raises:
        CorrectionsError: nothing was decided.
    """
    around, rejected, accepted = [], [], []
    for table in tables:
        to_crs = QgsCoordinateTransform(table.crs(), crs, QgsCoordinateTransformContext())
        rows = list(table.getFeatures())
        decided = [row for row in rows if _decision(row) in (ACCEPTED, REJECTED)]
        if ring_m > 0:
            around += [_moved(label, to_crs) for label in _rings(table, rows, decided, ring_m, gap_m)]
        for row in decided:
            yes = _decision(row) == ACCEPTED
            label = Label(row.geometry(), DEBRIS if yes else rejected_class, _decision(row), *_words(row))
            (accepted if yes else rejected).append(_moved(label, to_crs))
    if not accepted and not rejected:
        raise CorrectionsError(
            "No detection was accepted or rejected yet: decide in the results panel first, or give polygons drawn by "
            "hand."
        )
    return [*around, *rejected, *accepted]


def drawn_labels(layer: QgsVectorLayer, field: str, default: int, crs: QgsCoordinateReferenceSystem) -> List[Label]:
    """Labels of polygons drawn by hand.

    Args:
        layer: polygons.
        field: the one with class numbers, or an empty text.
        default: the class of polygons without a number.
        crs: of the labels.

    Raises:
        CorrectionsError: a number is no class.
    """
    to_crs = QgsCoordinateTransform(layer.crs(), crs, QgsCoordinateTransformContext())
    labels = []
    for feature in layer.getFeatures():
        value = feature[field] if field else NULL
        number = default if value in (NULL, None, "") else _class_number(value, layer, field)
        if feature.hasGeometry():
            labels.append(_moved(Label(feature.geometry(), number, "drawn"), to_crs))
    return labels


def common_crs(layers: Iterable[QgsVectorLayer]) -> QgsCoordinateReferenceSystem:
    """The layers' own CRS where they share one, else longitude and latitude."""
    systems = [layer.crs() for layer in layers]
    if systems and all(system == systems[0] for system in systems):
        return systems[0]
    return QgsCoordinateReferenceSystem("EPSG:4326")


def check_tables(layers: Iterable[QgsVectorLayer]) -> None:
    """Make sure that layers are detections.

    Raises:
        CorrectionsError: one is none.
    """
    for layer in layers:
        if not is_detections(layer):
            raise CorrectionsError(f"{layer.name()} is no table of detections: choose what Detect Marine Debris wrote.")


def _class_number(value, layer, field) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number not in CLASSES or float(value) != number:
        raise CorrectionsError(
            f"{layer.name()}: the field {field} holds {value}: classes are whole numbers from 1 to {max(CLASSES)}."
        )
    return number


def _rings(table, rows, decided, ring_m, gap_m) -> List[Label]:
    """Water around the decided detections, nowhere near any other detection; drawn where metres are metres."""
    there, back = there_and_back(table.crs(), table.extent().center())
    shapes = {row.id(): _transformed(row.geometry(), there) for row in rows}
    index = QgsSpatialIndex()
    for fid, shape in shapes.items():
        index.addFeature(fid, shape.boundingBox())
    labels = []
    for row in decided:
        outer = shapes[row.id()].buffer(gap_m + ring_m, SEGMENTS)
        near = [shapes[fid].buffer(gap_m, SEGMENTS) for fid in index.intersects(outer.boundingBox().buffered(gap_m))]
        water = outer.difference(QgsGeometry.unaryUnion(near)) if near else outer
        if not water.isEmpty():
            labels.append(Label(_transformed(water, back), WATER, "surroundings", *_words(row)))
    return labels


def _decision(row) -> str:
    names = row.fields().names()
    return str(row[DECISION] or "") if DECISION in names and row[DECISION] != NULL else ""


def _words(row):
    names = row.fields().names()

    def text(name) -> Optional[str]:
        return str(row[name]) if name in names and row[name] != NULL and row[name] else ""

    return text("scene"), text(NOTE)


def _moved(label: Label, transform: QgsCoordinateTransform) -> Label:
    return Label(_transformed(label.geometry, transform), label.number, label.source, label.scene, label.note)


def _transformed(geometry: QgsGeometry, transform: QgsCoordinateTransform) -> QgsGeometry:
    moved = QgsGeometry(geometry)
    if transform.isValid() and not transform.isShortCircuited():
        moved.transform(transform)
    return moved
