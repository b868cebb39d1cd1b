"""Make the .qml files of debris_qgis/styles with QGIS itself, from the colours below: `python3 -m tools.make_styles`.

Run it with the Python that has QGIS's bindings, in the oldest QGIS that the plugin supports: newer ones read older
styles, not the other way round. Colours: Okabe and Ito's set for all kinds of colour vision (jfly.uni-koeln.de/color),
and matplotlib's plasma (CC0), which is perceptually even.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# The order of attributes in the files, and so their differences, are the same each time.
os.environ.setdefault("QT_HASH_SEED", "0")

from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsColorRampShader,
    QgsContrastEnhancement,
    QgsFillSymbol,
    QgsGraduatedSymbolRenderer,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsRasterLayer,
    QgsRasterShader,
    QgsRendererRange,
    QgsSingleBandPseudoColorRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor, qPremultiply

STYLES = Path(__file__).resolve().parents[1] / "debris_qgis" / "styles"

MASK = (
    (0, "Clear: no debris found", "#56b4e9", 0),
    (1, "Marine debris (suspected)", "#d55e00", 255),
    (2, "Other floating matter", "#009e73", 230),
    (3, "Not observed: land", "#8c8c8c", 110),
    (4, "Not observed: cloud or shadow", "#d9d9d9", 140),
    (255, "Not observed: no data", "#4d4d4d", 90),
)
PLASMA = ((0.0, "#0d0887"), (0.25, "#7e03a8"), (0.5, "#cc4778"), (0.75, "#f89540"), (1.0, "#f0f921"))
DETECTIONS = (
    (0.0, 0.5, "Mean probability below 0.5", "#f0e442", 0.3),
    (0.5, 0.7, "0.5 to 0.7", "#e69f00", 0.4),
    (0.7, 0.85, "0.7 to 0.85", "#d55e00", 0.55),
    (0.85, 1.0, "above 0.85", "#cc1f5a", 0.7),
)
LABELS = (
    (0, "Not labelled", "#000000", 0),
    (1, "Marine debris", "#d55e00", 255),
    (2, "Dense Sargassum", "#00573f", 255),
    (3, "Sparse Sargassum", "#009e73", 255),
    (4, "Natural organic material", "#8c6d31", 255),
    (5, "Ship", "#cc79a7", 255),
    (6, "Clouds", "#e6e6e6", 255),
    (7, "Marine water", "#0072b2", 160),
    (8, "Sediment-laden water", "#b8a16b", 160),
    (9, "Foam", "#f0e442", 255),
    (10, "Turbid water", "#4f9a94", 160),
    (11, "Shallow water", "#56b4e9", 160),
    (12, "Waves", "#9ad0f5", 255),
    (13, "Cloud shadows", "#2b3a55", 200),
    (14, "Wakes", "#b9d6f2", 255),
    (15, "Mixed water", "#3d6f8e", 160),
    (16, "Land", "#8c8c8c", 255),
)
# Water reflects 0.01 to 0.06: a wider range would show it black.
HIGHEST_REFLECTANCE = 0.12


def _colour(name: str, alpha: int = 255) -> QColor:
    colour = QColor(name)
    colour.setAlpha(alpha)
    return colour


def _raster(folder: Path, bands: int, kind: int, nodata: float | None) -> QgsRasterLayer:
    path = str(folder / f"{bands}-{kind}.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(path, 2, 2, bands, kind)
    if nodata is not None:
        dataset.GetRasterBand(1).SetNoDataValue(nodata)
    dataset.FlushCache()
    del dataset
    return QgsRasterLayer(path, "layer", "gdal")


def _paletted(layer: QgsRasterLayer, classes: tuple) -> None:
    entries = [
        QgsPalettedRasterRenderer.Class(value, _colour(colour, alpha), label) for value, label, colour, alpha in classes
    ]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, entries))


def mask(folder: Path) -> QgsRasterLayer:
    """Named categories; clear water is transparent, and what was not observed is shown."""
    layer = _raster(folder, 1, gdal.GDT_Byte, 255)
    _paletted(layer, MASK)
    # 255 is the raster's no-data value, which QGIS draws in a colour of its own; its class is for the legend.
    # QgsRasterRenderer::renderColorForNodataPixel takes that colour as multiplied by its alpha already.
    colour = _colour(*MASK[-1][2:])
    layer.renderer().setNodataColor(QColor.fromRgba(qPremultiply(colour.rgba())))
    return layer


def labels(folder: Path) -> QgsRasterLayer:
    """MARIDA's classes."""
    layer = _raster(folder, 1, gdal.GDT_Byte, None)
    _paletted(layer, LABELS)
    return layer


def probability(folder: Path) -> QgsRasterLayer:
    """Plasma, transparent at the low end."""
    layer = _raster(folder, 1, gdal.GDT_Float32, float("nan"))
    ramp = QgsColorRampShader(0.0, 1.0, None, QgsColorRampShader.Interpolated)
    items = [QgsColorRampShader.ColorRampItem(0.02, _colour(PLASMA[0][1], 0), "below 0.02: transparent")]
    items += [
        QgsColorRampShader.ColorRampItem(
            max(value, 0.1), _colour(name, 130 if value == 0 else 255), f"{max(value, 0.1):.2f}"
        )
        for value, name in PLASMA
    ]
    ramp.setColorRampItemList(items)
    shader = QgsRasterShader(0.0, 1.0)
    shader.setRasterShaderFunction(ramp)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
    renderer.setClassificationMin(0.0)
    renderer.setClassificationMax(1.0)
    layer.setRenderer(renderer)
    return layer


def scene(folder: Path) -> QgsRasterLayer:
    """True colour (B4, B3, B2), stretched to what water and debris reflect."""
    layer = _raster(folder, 11, gdal.GDT_Float32, float("nan"))
    renderer = QgsMultiBandColorRenderer(layer.dataProvider(), 4, 3, 2)
    for band, setter in (
        (4, "setRedContrastEnhancement"),
        (3, "setGreenContrastEnhancement"),
        (2, "setBlueContrastEnhancement"),
    ):
        stretch = QgsContrastEnhancement(layer.dataProvider().dataType(band))
        stretch.setMinimumValue(0.0)
        stretch.setMaximumValue(HIGHEST_REFLECTANCE)
        stretch.setContrastEnhancementAlgorithm(QgsContrastEnhancement.StretchToMinimumMaximum)
        getattr(renderer, setter)(stretch)
    layer.setRenderer(renderer)
    return layer


def detections(folder: Path) -> QgsVectorLayer:
    """Outlines, graded by mean probability in colour and, for who cannot tell the colours apart, in width (mm)."""
    layer = QgsVectorLayer("MultiPolygon?field=mean_prob:double", "layer", "memory")
    ranges = []
    for low, high, label, colour, width in DETECTIONS:
        symbol = QgsFillSymbol.createSimple(
            {"style": "no", "outline_color": colour, "outline_width": str(width), "outline_style": "solid"}
        )
        ranges.append(QgsRendererRange(low, high, symbol, label))
    layer.setRenderer(QgsGraduatedSymbolRenderer("mean_prob", ranges))
    layer.setDisplayExpression("'Detection ' || \"id\" || ', ' || round(\"area_m2\") || ' m²'")
    return layer


def main() -> int:
    """Write every style."""
    application = QgsApplication([], False)
    application.initQgis()
    gdal.UseExceptions()
    STYLES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as room:
        for make in (mask, labels, probability, scene, detections):
            layer = make(Path(room))
            message, done = layer.saveNamedStyle(str(STYLES / f"{make.__name__}.qml"))
            if not done:
                sys.exit(message)
            del layer
    return 0


if __name__ == "__main__":
    sys.exit(main())
