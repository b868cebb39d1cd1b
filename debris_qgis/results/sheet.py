"""Sheets of paper made with QGIS's layout engine: texts that flow, maps with what is needed to read them."""

import math
from typing import Optional, Sequence

from qgis.core import (
    QgsColorRampLegendNode,
    QgsCoordinateReferenceSystem,
    QgsDistanceArea,
    QgsLayoutExporter,
    QgsLayoutItem,
    QgsLayoutItemLabel,
    QgsLayoutItemLegend,
    QgsLayoutItemMap,
    QgsLayoutItemPage,
    QgsLayoutItemPicture,
    QgsLayoutItemScaleBar,
    QgsLayoutItemShape,
    QgsLayoutPoint,
    QgsLayoutSize,
    QgsLegendRenderer,
    QgsLegendStyle,
    QgsMapLayer,
    QgsMapLayerLegendUtils,
    QgsPointXY,
    QgsPrintLayout,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsTextFormat,
    QgsUnitTypes,
)
from qgis.PyQt.QtCore import QRectF, QSizeF, Qt
from qgis.PyQt.QtGui import QColor, QFont, QFontMetricsF, QImage

from ..compat import TEXT_AS_TEXT, number_of

PAGE_WIDTH, PAGE_HEIGHT = 210.0, 297.0
MARGIN = 12.0
WIDTH = PAGE_WIDTH - 2 * MARGIN
BOTTOM = PAGE_HEIGHT - 18.0
DPI = 300
POINT_MM = 25.4 / 72
# Text is measured this many times larger than life: metrics of small fonts are rounded.
MAGNIFIED = 20.0


class Sheet:
    """A layout of A4 pages, upright unless told; positions in mm from the upper left corner of a page."""

    def __init__(self, project: QgsProject, width: float = PAGE_WIDTH, height: float = PAGE_HEIGHT) -> None:
        self._page_size = QgsLayoutSize(width, height)
        self.layout = QgsPrintLayout(project)
        self.layout.initializeDefaults()
        self.layout.renderContext().setDpi(DPI)
        self.page = 0
        self._size(self.layout.pageCollection().page(0))

    def new_page(self) -> None:
        """Go on on another page."""
        page = QgsLayoutItemPage(self.layout)
        self._size(page)
        self.layout.pageCollection().addPage(page)
        self.page += 1

    def _size(self, page) -> None:
        page.setPageSize(self._page_size)

    def place(self, item: QgsLayoutItem, x: float, y: float, width: float, height: float) -> None:
        """Put an item on the current page."""
        self.layout.addLayoutItem(item)
        item.attemptMove(QgsLayoutPoint(x, y), page=self.page)
        item.attemptResize(QgsLayoutSize(width, height))

    def text(self, text: str, x: float, y: float, width: float, size: float, bold=False, colour="#1a1a1a") -> float:
        """Write a text that wraps, as high as it needs to be, and return where it ends."""
        height = height_of(text, width, size, bold)
        label = QgsLayoutItemLabel(self.layout)
        label.setText(text)
        _set_font(label, font(size, bold), size, colour)
        label.setHAlign(Qt.AlignmentFlag.AlignLeft)
        label.setMarginX(0)
        label.setMarginY(0)
        self.place(label, x, y, width, height)
        return y + height

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled box without an outline."""
        shape = QgsLayoutItemShape(self.layout)
        shape.setShapeType(QgsLayoutItemShape.Shape.Rectangle)
        symbol = shape.symbol().clone()
        layer = symbol.symbolLayer(0)
        layer.setFillColor(QColor(colour))
        layer.setStrokeStyle(Qt.PenStyle.NoPen)
        shape.setSymbol(symbol)
        self.place(shape, x, y, width, height)

    def map(
        self, layers: Sequence[QgsMapLayer], extent: QgsRectangle, crs: QgsCoordinateReferenceSystem, frame: QRectF
    ) -> QgsLayoutItemMap:
        """One framed map of `layers`, the uppermost first."""
        item = QgsLayoutItemMap(self.layout)
        self.place(item, frame.x(), frame.y(), frame.width(), frame.height())
        item.setFollowVisibilityPreset(False)
        item.setLayers(list(layers))
        item.setKeepLayerSet(True)
        item.setCrs(crs)
        item.setExtent(fitted(extent, frame.width() / frame.height()))
        item.setBackgroundColor(QColor(255, 255, 255))
        item.setFrameEnabled(True)
        return item

    def legend(self, linked: QgsLayoutItemMap, layers: Sequence[QgsMapLayer], x: float, y: float, columns: int):
        """The legend of `layers`, as large as it needs to be; returns where it ends, in mm."""
        legend = QgsLayoutItemLegend(self.layout)
        legend.setLinkedMap(linked)
        legend.setAutoUpdateModel(False)
        root = legend.model().rootGroup()
        root.clear()
        for layer in layers:
            entry = root.addLayer(layer)
            if isinstance(layer, QgsRasterLayer):
                _tidy_raster_entry(legend, entry)
        legend.setColumnCount(columns)
        legend.setSplitLayer(False)
        legend.setColumnSpace(6)
        legend.setSymbolWidth(5)
        legend.setSymbolHeight(3)
        for style, size in (
            (QgsLegendStyle.Style.Title, 9),
            (QgsLegendStyle.Style.Subgroup, 8),
            (QgsLegendStyle.Style.SymbolLabel, 7),
        ):
            legend.setStyleFont(style, font(size, style != QgsLegendStyle.Style.SymbolLabel))
        # A legend finds its size itself, but not before it is drawn for the first time: what comes below must know.
        size = QgsLegendRenderer(legend.model(), legend.legendSettings()).minimumSize()
        self.place(legend, x, y, size.width(), size.height())
        return y + size.height()

    def scale_bar(self, linked: QgsLayoutItemMap, x: float, y: float) -> None:
        """A scale bar in m or km, a quarter to a half as long as the map is wide; a word where there is no scale."""
        metres = width_in_metres(linked)
        if metres is None:
            self.text("No coordinate system: no scale", x, y, 55, 8)
            return
        kilometres = metres >= 4000
        metres_a_unit = 1000 if kilometres else 1
        units_a_metre = linked.extent().width() / metres
        bar = QgsLayoutItemScaleBar(self.layout)
        bar.setStyle("Single Box")
        bar.setLinkedMap(linked)
        # In the map's own units: QGIS measures metres by the project's ellipsoid, and a new project has none, so that
        # Mercator's count as metres on the ground.
        bar.setUnits(QgsUnitTypes.DistanceUnit.DistanceUnknownUnit)
        bar.setMapUnitsPerScaleBarUnit(units_a_metre * metres_a_unit)
        bar.setUnitLabel("km" if kilometres else "m")
        bar.setNumberOfSegmentsLeft(0)
        bar.setNumberOfSegments(2)
        # Room for two segments and the last number beside the north arrow.
        fitting = metres * 18 / linked.rect().width()
        bar.setUnitsPerSegment(round_number(fitting) * units_a_metre)
        bar.setHeight(2)
        bar.setTextFormat(text_format(font(7.5), 7.5))
        self.place(bar, x, y, 50, 10)

    def north_arrow(self, linked: QgsLayoutItemMap, x: float, y: float) -> None:
        """An arrow to the map's north, turned by the convergence of its projection."""
        arrow = QgsLayoutItemPicture(self.layout)
        arrow.setPicturePath(":/images/north_arrows/layout_default_north_arrow.svg")
        arrow.setLinkedMap(linked)
        arrow.setNorthMode(QgsLayoutItemPicture.NorthMode.TrueNorth)
        self.place(arrow, x, y, 10, 13)

    def pdf(self, path: str) -> bool:
        """Write the sheets as one PDF; False where that fails."""
        settings = QgsLayoutExporter.PdfExportSettings()
        settings.textRenderFormat = TEXT_AS_TEXT
        settings.dpi = DPI
        return QgsLayoutExporter(self.layout).exportToPdf(path, settings) == QgsLayoutExporter.ExportResult.Success

    def picture(self, page: int, frame: QRectF, dpi: float = 150) -> QImage:
        """A part of one page as a picture."""
        corner = self.layout.pageCollection().page(page).pos()
        return QgsLayoutExporter(self.layout).renderRegionToImage(frame.translated(corner), dpi=dpi)


def _tidy_raster_entry(legend, entry) -> None:
    nodes = legend.model().layerLegendNodes(entry)
    for number, node in enumerate(nodes):
        if isinstance(node, QgsColorRampLegendNode):
            QgsMapLayerLegendUtils.setLegendNodeSymbolSize(entry, number, QSizeF(5, 18))
    # A raster's first line names its band, which the layer's own name has said already.
    QgsMapLayerLegendUtils.setLegendNodeOrder(entry, list(range(1, len(nodes))))
    legend.model().refreshLayerLegend(entry)


def height_of(text: str, width: float, size: float, bold: bool = False) -> float:
    """How high a text is in mm when it wraps at `width` mm, with a little room to spare."""
    measured = font(size, bold)
    measured.setPixelSize(round(size * POINT_MM * MAGNIFIED))
    box = QRectF(0, 0, (width - 0.5) * MAGNIFIED, 1e7)
    flags = number_of(Qt.TextFlag.TextWordWrap)
    return QFontMetricsF(measured).boundingRect(box, flags, text).height() / MAGNIFIED * 1.04 + 0.6


def font(size: float, bold: bool = False) -> QFont:
    """The sheets' one family, in points."""
    chosen = QFont("DejaVu Sans")
    chosen.setStyleHint(QFont.StyleHint.SansSerif)
    chosen.setPointSizeF(size)
    chosen.setBold(bold)
    return chosen


def text_format(chosen: QFont, size: float, colour: str = "#1a1a1a") -> QgsTextFormat:
    """The same for what wants a text format."""
    wanted = QgsTextFormat()
    wanted.setFont(chosen)
    wanted.setSize(size)
    wanted.setSizeUnit(QgsUnitTypes.RenderUnit.RenderPoints)
    wanted.setColor(QColor(colour))
    return wanted


def _set_font(label, chosen, size, colour) -> None:
    if hasattr(label, "setTextFormat"):
        label.setTextFormat(text_format(chosen, size, colour))
    else:
        label.setFont(chosen)
        label.setFontColor(QColor(colour))


def fitted(extent: QgsRectangle, ratio: float) -> QgsRectangle:
    """The smallest extent around `extent` that is `ratio` times as wide as high, with a little room at the edges."""
    width = max(extent.width(), extent.height() * ratio) * 1.02
    return QgsRectangle.fromCenterAndSize(extent.center(), width, width / ratio)


def width_in_metres(item: QgsLayoutItemMap) -> Optional[float]:
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
