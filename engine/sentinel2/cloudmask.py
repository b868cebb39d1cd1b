"""The cloud polygons of products before baseline 04.00: `MSK_CLOUDS_B00.gml`, in the product's own CRS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from engine.errors import RasterError
from engine.sentinel2.contents import Product
from engine.sentinel2.files import file_tree
from engine.sentinel2.metadata import parse_xml

__all__ = ["CloudPolygon", "cloud_polygons"]


@dataclass(frozen=True)
class CloudPolygon:
    """One cloud of a mask."""

    kind: str
    """OPAQUE or CIRRUS."""
    geometry: BaseGeometry
    """Polygon, valid, in the product's CRS."""


def cloud_polygons(product: Product) -> list[CloudPolygon]:
    """The clouds that the product's MSK_CLOUDS draws; none where it has no such mask, or saw no cloud.

    Raises:
        RasterError: the mask cannot be read.
    """
    mask = next((mask for mask in product.cloud_masks if mask.kind == "MSK_CLOUDS"), None)
    if mask is None:
        return []
    tree, name = file_tree(mask.path)
    return list(_features(parse_xml(tree.read(name), mask.path), mask.path))


def _features(root: ElementTree.Element, source: str) -> Iterator[CloudPolygon]:
    for feature in root.iter("MaskFeature"):
        kind = (feature.findtext("maskType") or "").strip().upper()
        for polygon in feature.iter("Polygon"):
            rings = [_ring(ring, source) for ring in polygon.iter("posList")]
            if rings:
                yield CloudPolygon(kind, shapely.make_valid(shapely.Polygon(rings[0], rings[1:])))


def _ring(positions: ElementTree.Element, source: str) -> npt.NDArray[np.float64]:
    dimensions = int(positions.get("srsDimension", "2"))
    try:
        numbers = np.array((positions.text or "").split(), dtype=np.float64)
        return numbers.reshape(-1, dimensions)[:, :2]
    except ValueError as error:
        raise RasterError(f"{source} has a polygon whose positions are no coordinates: {error}.") from error
