"""A STAC item with the label extension: what was found, in which scene, by which model (stacspec.org, 1.1.0)."""

import json
from typing import Dict, List, Mapping, Optional, Tuple

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsGeometry,
    QgsPointXY,
    QgsRectangle,
)

from ..compat import POLYGON_GEOMETRY
from .fields import now
from .period import iso
from .provenance import SOFTWARE, Provenance
from .selection import WGS84, Selection
from .thresholds import linked

EXTENSIONS = (
    "https://stac-extensions.github.io/label/v1.0.1/schema.json",
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
)
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
DEGREE_DECIMALS = 7


def item(
    name: str,
    selection: Selection,
    provenance: Provenance,
    assets: Mapping[str, Tuple[str, str, str]],
    footprint: QgsRectangle,
) -> dict:
    """The item as JSON has it.

    Args:
        name: the item's id.
        selection: the detections.
        provenance: of the run.
        assets: by key: file name, media type, title.
        footprint: what was looked at, in the CRS of the detections.
    """
    geometry, bbox = _place(_ring(footprint, selection.crs))
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": list(EXTENSIONS),
        "id": name,
        "geometry": geometry,
        "bbox": bbox,
        "properties": {
            "title": f"Suspected floating debris in {provenance.product_id or provenance.scene or name}",
            **_time(provenance),
            **_label(selection),
            **_processing(provenance),
            **_projection(selection),
        },
        "links": [],
        "assets": {key: _asset(key, *asset) for key, asset in assets.items()},
    }


def text(value: dict) -> str:
    """The item as the text of its file."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _ring(footprint: QgsRectangle, crs) -> List[List[float]]:
    geometry = QgsGeometry.fromRect(footprint)
    # A straight edge of a projected raster is a curve in degrees.
    geometry = geometry.densifyByCount(3)
    geometry.transform(
        QgsCoordinateTransform(crs, QgsCoordinateReferenceSystem(WGS84), QgsCoordinateTransformContext())
    )
    return _unwrapped([[p.x(), p.y()] for p in geometry.asPolygon()[0]])


def _unwrapped(ring: List[List[float]]) -> List[List[float]]:
    """A ring without jumps: across the antimeridian its longitudes go on beyond 180."""
    turns, found = 0, [ring[0]]
    for (before, _), (lon, lat) in zip(ring, ring[1:]):
        # No side of a scene spans half the globe.
        turns += (lon - before < -180) - (lon - before > 180)
        found.append([lon + 360 * turns, lat])
    # The ring may have begun east of the antimeridian and gone on to the west.
    shift = 360 if min(lon for lon, _ in found) < -180 else 0
    return [[lon + shift, lat] for lon, lat in found]


def _place(ring: List[List[float]]) -> Tuple[dict, List[float]]:
    """Geometry and bounding box after RFC 7946: cut at the antimeridian, where west is then more than east."""
    lons, lats = [lon for lon, _ in ring], [lat for _, lat in ring]
    bbox = _rounded([min(lons), min(lats), _turned(max(lons)), max(lats)])
    if max(lons) <= 180:
        return {"type": "Polygon", "coordinates": [_against_the_clock(ring)]}, bbox
    outline = QgsGeometry.fromPolygonXY([[QgsPointXY(*place) for place in ring]])
    parts = []
    for turn in (0, 360):
        side = outline.intersection(QgsGeometry.fromRect(QgsRectangle(turn - 180, -90, turn + 180, 90)))
        for polygon in side.asGeometryCollection():
            if polygon.type() == POLYGON_GEOMETRY:
                places = [[p.x() - turn, p.y()] for p in polygon.asPolygon()[0]]
                parts.append([_against_the_clock(places)])
    return {"type": "MultiPolygon", "coordinates": parts}, bbox


def _turned(lon: float) -> float:
    return lon - 360 if lon > 180 else lon


def _rounded(values: List[float]) -> List[float]:
    return [round(value, DEGREE_DECIMALS) for value in values]


def _against_the_clock(ring: List[List[float]]) -> List[List[float]]:
    """An outer ring as RFC 7946 wants it."""
    ring = [_rounded(place) for place in ring]
    turn = sum((b[0] - a[0]) * (b[1] + a[1]) for a, b in zip(ring, ring[1:]))
    return ring[::-1] if turn > 0 else ring


def _time(provenance: Provenance) -> Dict[str, Optional[str]]:
    period = provenance.period
    if period is None:
        # The specification wants a time: that of the making, and a word that it is not the scene's.
        made = now()
        return {
            "datetime": made,
            "created": made,
            "description": "The time of the scene is not known; datetime is when this item was made.",
        }
    if period.exact:
        return {"datetime": iso(period.begin), "created": now()}
    return {
        "datetime": None,
        "start_datetime": iso(period.begin),
        "end_datetime": iso(period.end),
        "created": now(),
    }


def _label(selection: Selection) -> dict:
    reviewed = {decision: count for decision, count in selection.decisions.items() if decision}
    label = {
        "label:type": "vector",
        "label:description": "Suspected floating marine debris, outlined pixel by pixel",
        "label:properties": ["decision"] if reviewed else None,
        "label:classes": [
            {"name": "decision", "classes": sorted(reviewed)} if reviewed else {"classes": ["marine debris"]}
        ],
        "label:tasks": ["segmentation", "detection"],
        "label:methods": ["automatic", "manual"] if reviewed else ["automatic"],
    }
    if reviewed:
        counts = [{"name": decision, "count": count} for decision, count in sorted(reviewed.items())]
        label["label:overviews"] = [{"property_key": "decision", "counts": counts}]
    return label


def _processing(provenance: Provenance) -> dict:
    found = {"processing:software": {SOFTWARE: provenance.plugin_version or "unknown"}}
    if provenance.model:
        threshold = "" if provenance.threshold is None else f", threshold {provenance.threshold:g}"
        if linked(provenance.threshold, provenance.extent_threshold):
            threshold += f", extent threshold {provenance.extent_threshold:g}"
        found["processing:lineage"] = (
            f"Model {provenance.model} (SHA-256 {provenance.model_sha256}){threshold}; "
            f"{provenance.reflectance or 'reflectance scale not stated'}"
        )
    if provenance.level:
        found["processing:level"] = provenance.level
    return found


def _projection(selection: Selection) -> dict:
    code = selection.crs.authid()
    return {"proj:code": code} if ":" in code else {"proj:code": None, "proj:wkt2": selection.crs.toWkt()}


def _asset(key, href, media_type, title) -> dict:
    roles = {"mask": ["data", "labels"], "probability": ["data"], "readme": ["metadata"]}.get(key, ["data", "labels"])
    return {"href": f"./{href}", "type": media_type, "title": title, "roles": roles}
