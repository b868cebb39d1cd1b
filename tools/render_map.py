"""Draw the map of a detection with QGIS's layout engine, in QGIS's own Python: `-m tools.render_map DESCRIPTION.json`.

The description names title, summary and credit; the scene with its three colour bands and their ranges; probability and
detections, shown with the styles that lie beside them; and the PNG to write.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsContrastEnhancement,
    QgsLayoutExporter,
    QgsMapLayer,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QRectF
from qgis.PyQt.QtGui import QColor

from debris_qgis.results.sheet import Sheet

PAGE_WIDTH, PAGE_HEIGHT = 297, 210
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
    sheet = Sheet(project, PAGE_WIDTH, PAGE_HEIGHT)
    width, right = PAGE_WIDTH - 2 * MARGIN, MARGIN + FRAME_WIDTH + GAP
    sheet.text(description["title"], MARGIN, 8, width, 17, bold=True)
    sheet.text(description["summary"], MARGIN, 17, width, 10)
    sheet.text("Colour image (B4, B3, B2)", MARGIN, FRAME_TOP - 6, FRAME_WIDTH, 9, bold=True)
    sheet.text("Probability and detections", right, FRAME_TOP - 6, FRAME_WIDTH, 9, bold=True)
    left_frame, right_frame = (QRectF(x, FRAME_TOP, FRAME_WIDTH, FRAME_HEIGHT) for x in (MARGIN, right))
    sheet.map([unseen, colour], colour.extent(), colour.crs(), left_frame)
    shown = sheet.map([detections, probability, besides, ground], colour.extent(), colour.crs(), right_frame)
    legend = [detections, probability, *([besides] if besides.renderer().classes() else [])]
    sheet.legend(shown, legend, MARGIN, BOTTOM_TOP, len(legend))
    sheet.scale_bar(shown, 212, BOTTOM_TOP + 2)
    sheet.north_arrow(shown, MARGIN + width - 12, BOTTOM_TOP + 2)
    sheet.text(f"{description['credit']} {description['model']}", MARGIN, 199, width, 7.5)
    _export(sheet, description["picture"])


def _export(sheet: Sheet, path: str) -> None:
    settings = QgsLayoutExporter.ImageExportSettings()
    settings.dpi = RESOLUTION_DPI
    if QgsLayoutExporter(sheet.layout).exportToImage(path, settings) != QgsLayoutExporter.ExportResult.Success:
        raise MapError(f"The map cannot be written to {path}.")


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
