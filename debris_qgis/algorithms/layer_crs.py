"""The CRS that a person has given to a layer (*Set CRS of Layer*) and its file does not know."""

from typing import Iterable, List, Optional

from qgis.core import QgsCoordinateReferenceSystem, QgsMapLayer


def crs_set_by_hand(layer: QgsMapLayer) -> Optional[QgsCoordinateReferenceSystem]:
    """It, or None where the file's own holds."""
    crs = layer.crs()
    return None if not crs.isValid() or crs == layer.dataProvider().crs() else crs


def crs_for_engine(layer: QgsMapLayer) -> Optional[str]:
    """The same as the engine takes it: EPSG:… or WKT."""
    crs = crs_set_by_hand(layer)
    if crs is None:
        return None
    return crs.authid() if crs.authid().startswith("EPSG:") else crs.toWkt()


def each_crs_for_engine(layers: Iterable[QgsMapLayer]) -> List[str]:
    """The same of several layers, an empty text where a file's own holds; an empty list where all files' own do."""
    found = [crs_for_engine(layer) or "" for layer in layers]
    return found if any(found) else []
