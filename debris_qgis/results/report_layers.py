"""The layers that a report's maps show: the scene, the mask's values that occur, detections as spots and outlines."""

from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsField,
    QgsFillSymbol,
    QgsGeometry,
    QgsMapLayer,
    QgsMarkerSymbol,
    QgsPalettedRasterRenderer,
    QgsPalLayerSettings,
    QgsProperty,
    QgsRasterLayer,
    QgsRectangle,
    QgsSingleSymbolRenderer,
    QgsSymbolLayer,
    QgsTextBufferSettings,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt.QtGui import QColor

from ..compat import REAL, TEXT
from .areas import CLOUD, DEBRIS, FLOATING, LAND, NO_DATA
from .quiet import raster_layer
from .scene_crs import searched_in, set_crs
from .scene_image import colour_layer, fdi_layer
from .selection import Selection, has_place
from .sheet import font, text_format

MASK_CLASSES = {
    DEBRIS: ("#d55e00", "Suspected debris"),
    FLOATING: ("#006b4e", "Other floating matter (not debris)"),
    LAND: ("#b9a98c", "Not observed: land"),
    CLOUD: ("#aeb8c4", "Not observed: cloud or shadow"),
    NO_DATA: ("#6b7280", "Not observed: no data"),
}
"""Colour and label of the values that a map shows, clear water transparent; they differ in brightness too."""
OUTLINE = "#ff2fbf"
SPOT = "#d55e00"


@dataclass(frozen=True)
class Layers:
    """What the maps are made of; a layer that cannot be had is None."""

    colour: Optional[QgsRasterLayer]
    ground: Optional[QgsRasterLayer]
    fdi: Optional[QgsRasterLayer]
    mask: Optional[QgsRasterLayer]
    spots: QgsVectorLayer
    outlines: QgsVectorLayer
    extent: QgsRectangle
    crs: QgsCoordinateReferenceSystem
    """Of the extent, and of all maps; layers of another are brought into it."""

    @property
    def pixel(self) -> float:
        """The width of a pixel in units of the maps; 1 where there is no raster."""
        return next((layer.rasterUnitsPerPixelX() for layer in (self.mask, self.colour) if layer is not None), 1.0)

    def all(self) -> List[QgsMapLayer]:
        """Those that there are."""
        layers = (self.spots, self.outlines, self.mask, self.fdi, self.ground, self.colour)
        return [layer for layer in layers if layer is not None]

    def main(self) -> List[QgsMapLayer]:
        """Of the main map, the uppermost first."""
        return [layer for layer in (self.spots, self.mask, self.ground) if layer is not None]

    def close_up(self) -> List[QgsMapLayer]:
        """Of a close-up in colour."""
        return [layer for layer in (self.outlines, self.colour or self.mask) if layer is not None]

    def index(self) -> List[QgsMapLayer]:
        """Of a close-up of the index; empty where it cannot be had."""
        return [] if self.fdi is None else [self.outlines, self.fdi]


def layers_for(
    selection: Selection,
    scene: str,
    mask: str,
    pixels: Dict[int, int],
    numbered: Sequence[QgsFeature],
    scene_crs: Optional[QgsCoordinateReferenceSystem] = None,
    mask_crs: Optional[QgsCoordinateReferenceSystem] = None,
) -> Layers:
    """Make the layers.

    Args:
        selection: the detections.
        scene: path of the scene, or an empty text.
        mask: path of the mask, or an empty text.
        pixels: how often each value occurs in the mask.
        numbered: the detections of the table, in its order.
        scene_crs: of the scene where a person has set it; None where it is its file's, or the one that Detect took.
        mask_crs: of the mask where a person has set it.
    """
    classes = mask_layer(mask, pixels) if mask else None
    set_crs([classes], mask_crs)
    colour = colour_layer(scene, "Colour image", mask or None) if scene else None
    ground = colour_layer(scene, "Grey image", mask or None, grey=True) if scene else None
    crs = scene_crs or searched_in(colour, classes)
    fdi = fdi_layer(scene, "Floating Debris Index", mask or None, crs) if scene else None
    set_crs([colour, ground, fdi], crs)
    outlines, spots = _outlines(selection), _spots(selection, numbered)
    bases = [layer for layer in (classes, colour, outlines) if layer is not None]
    return Layers(
        colour=colour,
        ground=ground,
        fdi=fdi,
        mask=classes,
        spots=spots,
        outlines=outlines,
        extent=bases[0].extent(),
        crs=next((layer.crs() for layer in bases if has_place(layer.crs())), bases[0].crs()),
    )


def mask_layer(path: str, pixels: Dict[int, int]) -> Optional[QgsRasterLayer]:
    """The mask with the values that occur, clear water transparent."""
    layer = raster_layer(path, "Found, and not observed")
    if not layer.isValid():
        return None
    # 255 is the mask's no-data value, which is not drawn unless it is taken for a number.
    layer.dataProvider().setUseSourceNoDataValue(1, False)
    classes = [
        QgsPalettedRasterRenderer.Class(value, QColor(colour), label)
        for value, (colour, label) in MASK_CLASSES.items()
        if pixels.get(value)
    ]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
    return layer


def _outlines(selection: Selection) -> QgsVectorLayer:
    layer = _memory("MultiPolygon", "Outline of a detection", selection)
    rows = []
    for feature in selection.features:
        row = QgsFeature(layer.fields())
        row.setGeometry(feature.geometry())
        rows.append(row)
    layer.dataProvider().addFeatures(rows)
    layer.updateExtents()
    symbol = QgsFillSymbol.createSimple({"style": "no", "outline_color": OUTLINE, "outline_width": "0.35"})
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))
    return layer


def _spots(selection: Selection, numbered: Sequence[QgsFeature]) -> QgsVectorLayer:
    layer = _memory("Point", "Detection of suspected debris", selection)
    layer.dataProvider().addAttributes([QgsField("number", TEXT), QgsField("side", REAL)])
    layer.updateFields()
    numbers = {feature["id"]: str(number) for number, feature in enumerate(numbered, 1)}
    rows = []
    for feature in selection.features:
        row = QgsFeature(layer.fields())
        area = feature["area_m2"]
        row.setAttributes([numbers.get(feature["id"], ""), 0.0 if area == NULL else float(area) ** 0.5])
        row.setGeometry(QgsGeometry(feature.geometry().pointOnSurface()))
        rows.append(row)
    layer.dataProvider().addFeatures(rows)
    layer.updateExtents()
    symbol = QgsMarkerSymbol.createSimple(
        {"name": "circle", "color": "255,255,255,0", "outline_color": SPOT, "outline_width": "0.5", "size": "3"}
    )
    size = QgsProperty.fromExpression('scale_linear("side", 10, 300, 2.4, 7)')
    symbol.symbolLayer(0).setDataDefinedProperty(QgsSymbolLayer.Property.PropertySize, size)
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))
    layer.setLabeling(QgsVectorLayerSimpleLabeling(_numbers()))
    layer.setLabelsEnabled(True)
    return layer


def _numbers() -> QgsPalLayerSettings:
    settings = QgsPalLayerSettings()
    settings.fieldName = "number"
    settings.dist = 1.2
    wanted = text_format(font(8, True), 8, "#000000")
    buffer = QgsTextBufferSettings()
    buffer.setEnabled(True)
    buffer.setSize(0.8)
    buffer.setColor(QColor("white"))
    wanted.setBuffer(buffer)
    settings.setFormat(wanted)
    return settings


def _memory(kind: str, name: str, selection: Selection) -> QgsVectorLayer:
    layer = QgsVectorLayer(kind, name, "memory")
    layer.setCrs(selection.crs)
    return layer
