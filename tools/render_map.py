"""Draw the map of a detection with QGIS's layout engine: `render_map.py DESCRIPTION.json`, in QGIS's own Python.

The description names title, summary and credit; the scene with its three colour bands and their ranges; probability and
detections, shown with the styles that lie beside them; and the PNG to write.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsColorRampLegendNode,
    QgsContrastEnhancement,
    QgsDistanceArea,
    QgsLayerTreeLayer,
    QgsLayoutExporter,
    QgsLayoutItem,
    QgsLayoutItemLabel,
    QgsLayoutItemLegend,
    QgsLayoutItemMap,
    QgsLayoutItemPicture,
    QgsLayoutItemScaleBar,
    QgsLayoutPoint,
    QgsLayoutSize,
    QgsLegendStyle,
    QgsMapLayer,
    QgsMapLayerLegendUtils,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsPointXY,
    QgsPrintLayout,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsUnitTypes,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSizeF
from qgis.PyQt.QtGui import QColor, QFont

RESOLUTION_DPI = 150
MARGIN = 10
FRAME_WIDTH, FRAME_TOP, FRAME_HEIGHT = 136, 34, 118
GAP = 5
BOTTOM_TOP = 157


NOT_OBSERVED = {
    3: ("#b9a98c", "Not observed: land"),
    4: ("#f2f2f2", "Not observed: cloud or shadow"),
    255: ("#c8c8c8", "Not observed: no data"),
}
"""Colour and label of the mask's values that were not looked at."""
BESIDES_DEBRIS = {2: ("#009e73", "Other floating matter"), **NOT_OBSERVED}
"""The same of all values besides debris that are not clear water."""


class MapError(Exception):
    """The map cannot be drawn; the message says why."""


def load_colour(path: str, name: str, bands: list, grey: bool) -> QgsRasterLayer:
    """The scene as a colour image, or the same in grey and pale, for things to stand out on."""
    layer = QgsRasterLayer(path, name)
    _check(layer, path)
    provider = layer.dataProvider()
    renderer = QgsMultiBandColorRenderer(provider, *[band["band"] for band in bands])
    for band, setter in zip(
        bands,
        (renderer.setRedContrastEnhancement, renderer.setGreenContrastEnhancement, renderer.setBlueContrastEnhancement),
    ):
        stretch = QgsContrastEnhancement(provider.dataType(band["band"]))
        stretch.setContrastEnhancementAlgorithm(
            QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
        )
        stretch.setMinimumValue(band["low"])
        stretch.setMaximumValue(band["high"])
        setter(stretch)
    layer.setRenderer(renderer)
    # Water is dark: a gamma above 1 lifts it without burning out what is bright.
    layer.brightnessFilter().setGamma(1.4)
    if grey:
        layer.hueSaturationFilter().setSaturation(-100)
        layer.brightnessFilter().setBrightness(25)
        layer.brightnessFilter().setContrast(-30)
    return layer


def load_mask(path: str, values: list, shown: dict) -> QgsRasterLayer:
    """The mask with those of its `values` that are in `shown`, everything else transparent."""
    layer = QgsRasterLayer(path, "Besides debris")
    _check(layer, path)
    # 255 is the mask's no-data value, which is not drawn unless it is taken for a number.
    layer.dataProvider().setUseSourceNoDataValue(1, False)
    classes = [
        QgsPalettedRasterRenderer.Class(value, QColor(colour), label)
        for value, (colour, label) in shown.items()
        if value in values
    ]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
    return layer


def load_results(description: dict) -> tuple:
    """Probability and detections, each with the style that lies beside it."""
    probability = QgsRasterLayer(description["probability"], "Probability of debris")
    detections = QgsVectorLayer(description["detections"], "Detections, by mean probability", "ogr")
    _check(probability, description["probability"])
    _check(detections, description["detections"])
    return probability, detections


def _check(layer: QgsMapLayer, path: str) -> None:
    if not layer.isValid():
        raise MapError(f"QGIS cannot open {path}.")


class MapSheet:
    """An A4 sheet, landscape: two maps side by side, and below them what is needed to read them."""

    def __init__(self, project: QgsProject) -> None:
        self.layout = QgsPrintLayout(project)
        self.layout.initializeDefaults()

    def place(self, item: QgsLayoutItem, x: float, y: float, width: float, height: float) -> None:
        """Put an item on the sheet, in mm from its upper left corner."""
        self.layout.addLayoutItem(item)
        item.attemptMove(QgsLayoutPoint(x, y))
        item.attemptResize(QgsLayoutSize(width, height))

    def text(self, text: str, x: float, y: float, width: float, height: float, size: float, bold: bool = False) -> None:
        """Write one label."""
        label = QgsLayoutItemLabel(self.layout)
        label.setText(text)
        label.setFont(font(size, bold))
        label.setMarginX(0)
        self.place(label, x, y, width, height)

    def map(self, layers: list, extent: QgsRectangle, x: float) -> QgsLayoutItemMap:
        """One framed map of `layers`, the uppermost first."""
        item = QgsLayoutItemMap(self.layout)
        self.place(item, x, FRAME_TOP, FRAME_WIDTH, FRAME_HEIGHT)
        item.setLayers(layers)
        item.setCrs(layers[-1].crs())
        item.setExtent(fitted(extent, FRAME_WIDTH / FRAME_HEIGHT))
        item.setBackgroundColor(QColor(255, 255, 255))
        item.setFrameEnabled(True)
        return item

    def legend(self, linked: QgsLayoutItemMap, layers: list, x: float, y: float) -> None:
        """The legend of `layers`, in columns."""
        legend = QgsLayoutItemLegend(self.layout)
        legend.setLinkedMap(linked)
        legend.setAutoUpdateModel(False)
        root = legend.model().rootGroup()
        root.clear()
        for layer in layers:
            entry = root.addLayer(layer)
            if isinstance(layer, QgsRasterLayer):
                self._tidy_raster_entry(legend, entry)
        legend.setColumnCount(len(layers))
        legend.setSplitLayer(False)
        legend.setColumnSpace(8)
        for style, size in (
            (QgsLegendStyle.Style.Title, 10),
            (QgsLegendStyle.Style.Subgroup, 9),
            (QgsLegendStyle.Style.SymbolLabel, 8),
        ):
            legend.setStyleFont(style, font(size, style != QgsLegendStyle.Style.SymbolLabel))
        self.place(legend, x, y, 10, 10)
        legend.adjustBoxSize()

    @staticmethod
    def _tidy_raster_entry(legend: QgsLayoutItemLegend, entry: QgsLayerTreeLayer) -> None:
        nodes = legend.model().layerLegendNodes(entry)
        for number, node in enumerate(nodes):
            if isinstance(node, QgsColorRampLegendNode):
                QgsMapLayerLegendUtils.setLegendNodeSymbolSize(entry, number, QSizeF(6, 22))
        # A raster's first line names its band, which the layer's own name has said already.
        QgsMapLayerLegendUtils.setLegendNodeOrder(entry, list(range(1, len(nodes))))
        legend.model().refreshLayerLegend(entry)

    def scale_bar(self, linked: QgsLayoutItemMap, x: float, y: float) -> None:
        """A scale bar in m or km, a quarter to a half as long as the map is wide; none where the map has no CRS."""
        metres = width_in_metres(linked)
        if metres is None:
            self.text("No coordinate system: no scale", x, y, FRAME_WIDTH, 5, 8)
            return
        kilometres = metres >= 4000
        unit = 1000 if kilometres else 1
        bar = QgsLayoutItemScaleBar(self.layout)
        bar.setStyle("Single Box")
        bar.setLinkedMap(linked)
        bar.setUnits(
            QgsUnitTypes.DistanceUnit.DistanceKilometers if kilometres else QgsUnitTypes.DistanceUnit.DistanceMeters
        )
        bar.setUnitLabel("km" if kilometres else "m")
        bar.setNumberOfSegmentsLeft(0)
        bar.setNumberOfSegments(2)
        bar.setUnitsPerSegment(round_number(metres / 5) / unit)
        bar.setHeight(2.5)
        text = bar.textFormat()
        text.setFont(font(8))
        text.setSize(8)
        text.setSizeUnit(QgsUnitTypes.RenderUnit.RenderPoints)
        bar.setTextFormat(text)
        self.place(bar, x, y, 60, 12)

    def north_arrow(self, linked: QgsLayoutItemMap, x: float, y: float) -> None:
        """An arrow to the map's north, turned by the convergence of its projection."""
        arrow = QgsLayoutItemPicture(self.layout)
        arrow.setPicturePath(":/images/north_arrows/layout_default_north_arrow.svg")
        arrow.setLinkedMap(linked)
        arrow.setNorthMode(QgsLayoutItemPicture.NorthMode.TrueNorth)
        self.place(arrow, x, y, 11, 14)

    def export(self, path: str) -> None:
        """Write the sheet as a picture."""
        settings = QgsLayoutExporter.ImageExportSettings()
        settings.dpi = RESOLUTION_DPI
        if QgsLayoutExporter(self.layout).exportToImage(path, settings) != QgsLayoutExporter.ExportResult.Success:
            raise MapError(f"The map cannot be written to {path}.")


def fitted(extent: QgsRectangle, ratio: float) -> QgsRectangle:
    """The smallest extent around `extent` that is `ratio` times as wide as high, with a little room at the edges."""
    width = max(extent.width(), extent.height() * ratio) * 1.02
    return QgsRectangle.fromCenterAndSize(extent.center(), width, width / ratio)


def width_in_metres(item: QgsLayoutItemMap) -> float | None:
    """The true width of a map along its middle, on the ellipsoid; None where the map has no CRS."""
    if not item.crs().isValid():
        return None
    measure = QgsDistanceArea()
    measure.setSourceCrs(item.crs(), QgsProject.instance().transformContext())
    measure.setEllipsoid(item.crs().ellipsoidAcronym() or "EPSG:7030")
    extent = item.extent()
    middle = extent.center().y()
    return measure.measureLine(QgsPointXY(extent.xMinimum(), middle), QgsPointXY(extent.xMaximum(), middle))


def round_number(value: float) -> float:
    """The largest of 1, 2 or 5 times a power of ten that is not above `value`."""
    power = 10.0 ** math.floor(math.log10(value))
    return power * max(step for step in (1, 2, 5) if step * power <= value)


def font(size: float, bold: bool = False) -> QFont:
    """The sheet's one family, in points."""
    chosen = QFont("DejaVu Sans")
    chosen.setPointSizeF(size)
    chosen.setBold(bold)
    return chosen


def draw(description: dict) -> None:
    """Draw and write one map."""
    project = QgsProject.instance()
    colour = load_colour(description["scene"], "Colour image", description["colour"], grey=False)
    ground = load_colour(description["scene"], "Grey image", description["colour"], grey=True)
    probability, detections = load_results(description)
    project.setCrs(colour.crs())
    unseen = load_mask(description["mask"], description["mask_values"], NOT_OBSERVED)
    besides = load_mask(description["mask"], description["mask_values"], BESIDES_DEBRIS)
    project.addMapLayers([colour, ground, unseen, besides, probability, detections])
    sheet = MapSheet(project)
    right = MARGIN + FRAME_WIDTH + GAP
    sheet.text(description["title"], MARGIN, 8, 277, 9, 17, bold=True)
    sheet.text(description["summary"], MARGIN, 17, 277, 6, 10)
    sheet.text("Colour image (B4, B3, B2)", MARGIN, FRAME_TOP - 6, FRAME_WIDTH, 5, 9, bold=True)
    sheet.text("Probability and detections", right, FRAME_TOP - 6, FRAME_WIDTH, 5, 9, bold=True)
    sheet.map([unseen, colour], colour.extent(), MARGIN)
    shown = sheet.map([detections, probability, besides, ground], colour.extent(), right)
    legend = [detections, probability, *([besides] if besides.renderer().classes() else [])]
    sheet.legend(shown, legend, MARGIN, BOTTOM_TOP)
    sheet.scale_bar(shown, 212, BOTTOM_TOP + 2)
    sheet.north_arrow(shown, MARGIN + 277 - 12, BOTTOM_TOP + 2)
    sheet.text(f"{description['credit']} {description['model']}", MARGIN, 199, 277, 5, 7.5)
    sheet.export(description["picture"])


def main() -> int:
    """Draw the map that the description asks for, and return the exit code."""
    description = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    application = QgsApplication([], False)
    application.initQgis()
    try:
        draw(description)
    except MapError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        QgsProject.instance().clear()
        application.exitQgis()
    return 0


if __name__ == "__main__":
    sys.exit(main())
