"""Several dates of one place: what was found when, and which detections are where something was found before."""

from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Tuple

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsGeometry,
    QgsSpatialIndex,
    QgsVectorLayer,
)

from .areas import Areas
from .fields import BEGIN, DECISION, END, REJECTED
from .metric import there_and_back
from .period import Period, parse
from .provenance import Provenance, key_among, of_detections

# What touches is no more than this apart after it was brought into another CRS.
TOUCHING_M = 0.01


class OverTimeError(Exception):
    """The dates cannot be put side by side; the message says why and what to do."""


@dataclass(frozen=True)
class Date:
    """One run over one scene."""

    period: Period
    scene: str
    count: int
    area_m2: Optional[float]
    observed_m2: Optional[float]
    largest_m2: Optional[float]
    highest: Optional[float]
    seen: Optional[bool] = None
    """Whether anything was looked at; None where there is no mask to tell."""
    practice: bool = False
    """Whether it is a practice scene's."""

    @property
    def missed(self) -> bool:
        """Whether the date says nothing of debris: nothing was looked at, so nothing could be found."""
        return self.seen is False and not self.count

    @property
    def share(self) -> Optional[float]:
        """Debris per observed area: what may be compared between dates that saw differently much."""
        if self.area_m2 is None or not self.observed_m2:
            return None
        return self.area_m2 / self.observed_m2


@dataclass
class Patch:
    """One detection of one date, in the common CRS."""

    geometry: QgsGeometry
    date: int
    """Which of the dates, counted from 0 in order of time."""
    number: int
    area_m2: float
    max_prob: float
    group: int = -1


@dataclass
class Group:
    """Detections of several dates within reach of one another."""

    patches: List[Patch] = field(default_factory=list)

    @property
    def dates(self) -> List[int]:
        """On which dates, in order."""
        return sorted({patch.date for patch in self.patches})

    def geometry(self) -> QgsGeometry:
        """Where they are, together."""
        outline = QgsGeometry.unaryUnion([patch.geometry for patch in self.patches])
        outline.convertToMultiType()
        return outline


def time_of(layer: QgsVectorLayer, rasters: Sequence[Provenance]) -> Tuple[Period, Provenance]:
    """When a layer's scene was taken.

    Args:
        layer: detections.
        rasters: provenance of masks that may belong to it.

    Raises:
        OverTimeError: nothing tells.
    """
    own = of_detections(layer)
    key = key_among(layer, own, [known.key for known in rasters])
    match = next((known for known in rasters if known.key == key), None)
    period = _written(layer) or own.period or (match.period if match else None)
    period = period or parse(layer.name()) or parse(layer.source())
    if period is None:
        raise OverTimeError(
            f"When the scene of {layer.name()} was taken is not known: rename the layer so that its name holds the "
            "date, as 2018-10-31."
        )
    return period, match or own


def _written(layer) -> Optional[Period]:
    """What the first row says of the time: a whole day where only the date is known, so begin and end both."""
    feature = next(layer.getFeatures(), None)
    names = layer.fields().names()
    begin, end = (
        parse(str(feature[name])) if feature is not None and name in names and feature[name] != NULL else None
        for name in (BEGIN, END)
    )
    return Period(begin.begin, (end or begin).end) if begin else None


def date_of(layer: QgsVectorLayer, period: Period, provenance: Provenance, areas: Optional[Areas]) -> Date:
    """Count one date; what was rejected does not count."""
    rows = wanted(layer)
    sizes = [float(row["area_m2"]) for row in rows if row["area_m2"] != NULL]
    probabilities = [float(row["max_prob"]) for row in rows if row["max_prob"] != NULL]
    known = len(sizes) == len(rows)
    return Date(
        period=period,
        scene=provenance.product_id or provenance.scene or layer.name(),
        count=len(rows),
        area_m2=sum(sizes) if known else None,
        observed_m2=areas.observed if areas else None,
        largest_m2=max(sizes) if sizes and known else None,
        highest=max(probabilities) if probabilities else None,
        seen=areas.any_observed if areas else None,
        practice=provenance.practice,
    )


def wanted(layer: QgsVectorLayer) -> List[QgsFeature]:
    """A layer's detections, without those that were rejected."""
    decided = DECISION in layer.fields().names()
    return [row for row in layer.getFeatures() if not decided or row[DECISION] != REJECTED]


def patches_of(layer: QgsVectorLayer, date: int, crs: QgsCoordinateReferenceSystem) -> List[Patch]:
    """A layer's detections in the common CRS."""
    transform = QgsCoordinateTransform(layer.crs(), crs, QgsCoordinateTransformContext())
    patches = []
    for row in wanted(layer):
        geometry = QgsGeometry(row.geometry())
        geometry.transform(transform)
        area = 0.0 if row["area_m2"] == NULL else float(row["area_m2"])
        patches.append(Patch(geometry, date, int(row["id"]), area, float(row["max_prob"])))
    return patches


def group(patches: List[Patch], reach_m: float, crs: QgsCoordinateReferenceSystem) -> List[Group]:
    """Join patches that lie within `reach_m` of one another, through others too; most dates first.

    Each patch learns the number of its group.
    """
    shapes, reach = _in_metres(patches, crs), reach_m + TOUCHING_M
    index = QgsSpatialIndex()
    for number, shape in enumerate(shapes):
        index.addFeature(number, shape.boundingBox())
    parent = list(range(len(patches)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for number, shape in enumerate(shapes):
        for other in index.intersects(shape.boundingBox().buffered(reach)):
            if other > number and shape.distance(shapes[other]) <= reach:
                parent[root(other)] = root(number)
    found: Dict[int, Group] = {}
    for number, patch in enumerate(patches):
        found.setdefault(root(number), Group()).patches.append(patch)
    groups = sorted(found.values(), key=lambda g: (-len(g.dates), -sum(p.area_m2 for p in g.patches)))
    for number, joined in enumerate(groups, 1):
        for patch in joined.patches:
            patch.group = number
    return groups


def _in_metres(patches: Sequence[Patch], crs: QgsCoordinateReferenceSystem) -> List[QgsGeometry]:
    """The patches' shapes where a metre is a metre: degrees differ by axis and latitude, Mercator's metres too."""
    shapes = [QgsGeometry(patch.geometry) for patch in patches]
    placed = next((shape for shape in shapes if not shape.isEmpty()), None)
    if placed is not None:
        # Around the first of them rather than in the middle, which lies on the far side of the Earth where they are on
        # both sides of the date line.
        there, _ = there_and_back(crs, placed.boundingBox().center())
        for shape in shapes:
            shape.transform(there)
    return shapes
