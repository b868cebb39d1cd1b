"""The CRS of a scene that was searched, whose file may say another: results have the one that Detect took."""

from math import isclose
from typing import Optional, Sequence

from qgis.core import QgsCoordinateReferenceSystem, QgsRasterLayer


def searched_in(
    scene: Optional[QgsRasterLayer], result: Optional[QgsRasterLayer]
) -> Optional[QgsCoordinateReferenceSystem]:
    """The CRS that Detect took for a scene, whose file may say another; None where that cannot be told.

    It is that of mask and probability, as long as they lie on the scene's own pixels: of a result that was warped
    since, it is not.

    Args:
        scene: as its file says it is.
        result: mask or probability.
    """
    if scene is None or result is None or not scene.isValid() or not result.crs().isValid():
        return None
    across, up = scene.rasterUnitsPerPixelX(), scene.rasterUnitsPerPixelY()
    whole, part = scene.extent(), result.extent()
    sides = (part.xMinimum() - whole.xMinimum()) / across, (part.yMinimum() - whole.yMinimum()) / up
    same_size = isclose(result.rasterUnitsPerPixelX(), across) and isclose(result.rasterUnitsPerPixelY(), up)
    aligned = all(abs(side - round(side)) < 1e-3 for side in sides)
    inside = whole.buffered(1e-3 * across).contains(part)
    return result.crs() if same_size and aligned and inside else None


def set_crs(layers: Sequence[Optional[QgsRasterLayer]], crs: Optional[QgsCoordinateReferenceSystem]) -> None:
    """Let a CRS hold for layers whose file says another, or none."""
    for layer in layers:
        if layer is not None and crs is not None:
            layer.setCrs(crs)
