"""Make the .qml files of debris_qgis/styles with QGIS itself, from the colours below: `python3 -m tools.make_styles`.

Run it with the Python that has QGIS's bindings, in the oldest QGIS that the plugin supports: newer ones read older
styles, not the other way round. Colours: Okabe and Ito's set for all kinds of colour vision (jfly.uni-koeln.de/color),
and matplotlib's plasma (CC0), which is perceptually even.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
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
    QgsFontMarkerSymbolLayer,
    QgsGeometryGeneratorSymbolLayer,
    QgsGraduatedSymbolRenderer,
    QgsMarkerSymbol,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsPointClusterRenderer,
    QgsProperty,
    QgsRasterLayer,
    QgsRasterShader,
    QgsRendererRange,
    QgsSingleBandPseudoColorRenderer,
    QgsSymbolLayer,
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
# All that floats, in the green that the mask has for it: pale where it is unlikely, so that it shows on white and on
# dark water, and below the probability of debris in plasma.
GREENS = ((0.1, "#b7e6d5", 110), (0.5, "#4fc49f", 220), (1.0, "#009e73", 255))
DETECTIONS = (
    (0.0, 0.5, "Mean probability below 0.5", "#f0e442", 0.3),
    (0.5, 0.7, "0.5 to 0.7", "#e69f00", 0.4),
    (0.7, 0.85, "0.7 to 0.85", "#d55e00", 0.55),
    (0.85, 1.0, "above 0.85", "#cc1f5a", 0.7),
)
# From this scale on a detection of some pixels cannot be seen as an outline: a circle stands for it, sized by area.
CIRCLES_FROM_SCALE = 60_000
CIRCLE_SIZE = 'scale_linear(sqrt(coalesce("area_m2", 100)), 10, 300, 1.6, 7)'
CLUSTERS_FROM_SCALE = 250_000
CLUSTER_SIZE = "scale_linear(sqrt(@cluster_size), 1, 30, 3.5, 11)"
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
    """Of debris: plasma, transparent at the low end."""
    layer = _raster(folder, 1, gdal.GDT_Float32, float("nan"))
    _ramped(layer, 1, [(max(value, 0.1), name, 130 if value == 0 else 255) for value, name in PLASMA])
    return layer


def floating(folder: Path) -> QgsRasterLayer:
    """Of all that floats, the second band: greens, transparent at the low end."""
    layer = _raster(folder, 2, gdal.GDT_Float32, float("nan"))
    _ramped(layer, 2, GREENS)
    return layer


def _ramped(layer: QgsRasterLayer, band: int, steps: Sequence[tuple[float, str, int]]) -> None:
    """Colour a band of probabilities by steps of value, colour and opacity, transparent below 0.02."""
    ramp = QgsColorRampShader(0.0, 1.0, None, QgsColorRampShader.Interpolated)
    items = [QgsColorRampShader.ColorRampItem(0.02, _colour(steps[0][1], 0), "below 0.02: transparent")]
    items += [
        QgsColorRampShader.ColorRampItem(value, _colour(name, alpha), f"{value:.2f}") for value, name, alpha in steps
    ]
    ramp.setColorRampItemList(items)
    shader = QgsRasterShader(0.0, 1.0)
    shader.setRasterShaderFunction(ramp)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), band, shader)
    renderer.setClassificationMin(0.0)
    renderer.setClassificationMax(1.0)
    layer.setRenderer(renderer)


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


def _circle(colour: str, width: float) -> QgsMarkerSymbol:
    """A hollow circle sized by area."""
    symbol = QgsMarkerSymbol.createSimple(
        {"name": "circle", "color": "255,255,255,60", "outline_color": colour, "outline_width": str(width)}
    )
    symbol.symbolLayer(0).setDataDefinedProperty(QgsSymbolLayer.PropertySize, QgsProperty.fromExpression(CIRCLE_SIZE))
    return symbol


def _range_symbol(colour: str, width: float) -> QgsFillSymbol:
    """An outline; seen from afar a circle besides."""
    symbol = QgsFillSymbol.createSimple(
        {"style": "no", "outline_color": colour, "outline_width": str(width), "outline_style": "solid"}
    )
    generator = QgsGeometryGeneratorSymbolLayer.create({"geometryModifier": "point_on_surface($geometry)"})
    generator.setSymbolType(QgsMarkerSymbol.Marker)
    generator.setSubSymbol(_circle(colour, width))
    generator.setDataDefinedProperty(
        QgsSymbolLayer.PropertyLayerEnabled, QgsProperty.fromExpression(f"@map_scale > {CIRCLES_FROM_SCALE}")
    )
    symbol.appendSymbolLayer(generator)
    return symbol


def detections(folder: Path) -> QgsVectorLayer:
    """Graded by mean probability in colour and, for who cannot tell the colours apart, in width (mm).

    Outlines from near; from afar circles sized by area.
    """
    layer = QgsVectorLayer("MultiPolygon?field=mean_prob:double&field=area_m2:double", "layer", "memory")
    ranges = [
        QgsRendererRange(low, high, _range_symbol(colour, width), label)
        for low, high, label, colour, width in DETECTIONS
    ]
    layer.setRenderer(QgsGraduatedSymbolRenderer("mean_prob", ranges))
    layer.setDisplayExpression("'Detection ' || \"id\" || ', ' || round(\"area_m2\") || ' m²'")
    return layer


def clusters(folder: Path) -> QgsVectorLayer:
    """Positions of detections, neighbours together with their number; from afar only."""
    layer = QgsVectorLayer("Point?field=mean_prob:double&field=area_m2:double", "layer", "memory")
    ranges = [
        QgsRendererRange(low, high, _circle(colour, width), label) for low, high, label, colour, width in DETECTIONS
    ]
    renderer = QgsPointClusterRenderer()
    renderer.setEmbeddedRenderer(QgsGraduatedSymbolRenderer("mean_prob", ranges))
    renderer.setTolerance(8)
    symbol = QgsMarkerSymbol.createSimple(
        {"name": "circle", "color": DETECTIONS[2][3], "outline_color": "255,255,255,255", "outline_width": "0.3"}
    )
    symbol.symbolLayer(0).setDataDefinedProperty(QgsSymbolLayer.PropertySize, QgsProperty.fromExpression(CLUSTER_SIZE))
    number = QgsFontMarkerSymbolLayer("DejaVu Sans", "1", 2.6, QColor("white"))
    number.setDataDefinedProperty(QgsSymbolLayer.PropertyCharacter, QgsProperty.fromExpression("@cluster_size"))
    symbol.appendSymbolLayer(number)
    renderer.setClusterSymbol(symbol)
    layer.setRenderer(renderer)
    layer.setScaleBasedVisibility(True)
    layer.setMaximumScale(CLUSTERS_FROM_SCALE)
    layer.setMinimumScale(0)
    return layer


def main() -> int:
    """Write every style."""
    application = QgsApplication([], False)
    application.initQgis()
    gdal.UseExceptions()
    STYLES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as room:
        for make in (mask, labels, probability, floating, scene, detections, clusters):
            layer = make(Path(room))
            message, done = layer.saveNamedStyle(str(STYLES / f"{make.__name__}.qml"))
            if not done:
                sys.exit(message)
            del layer
    return 0


if __name__ == "__main__":
    sys.exit(main())
