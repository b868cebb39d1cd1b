"""The scene itself as people look at it: a colour composite, the same in grey, and the Floating Debris Index."""

import re
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
from osgeo import gdal
from qgis.core import (
    QgsColorRampShader,
    QgsContrastEnhancement,
    QgsCoordinateReferenceSystem,
    QgsMultiBandColorRenderer,
    QgsRasterDataProvider,
    QgsRasterLayer,
    QgsRasterShader,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtGui import QColor

from .quiet import raster_layer

ORDERS = {
    11: "B1 B2 B3 B4 B5 B6 B7 B8 B8A B11 B12".split(),
    12: "B1 B2 B3 B4 B5 B6 B7 B8 B8A B9 B11 B12".split(),
    13: "B1 B2 B3 B4 B5 B6 B7 B8 B8A B9 B10 B11 B12".split(),
}
"""MARIDA, L2A and L1C: the orders that Detect Marine Debris takes unnamed rasters in."""
CENTRES = {
    "B1": 443, "B2": 492, "B3": 560, "B4": 665, "B5": 704, "B6": 740, "B7": 783, "B8": 833, "B8A": 865, "B9": 945,
    "B10": 1373, "B11": 1614, "B12": 2202,
}  # fmt: skip
"""Centre wavelengths in nm (Sentinel-2A)."""
TOLERANCE_NM = 9
COMMON = {"coastal": "B1", "blue": "B2", "green": "B3", "red": "B4", "nir": "B8", "swir16": "B11", "swir22": "B12"}
TRUE_COLOUR = ("B4", "B3", "B2")
# Floating Debris Index, Biermann et al. 2020, doi 10.1038/s41598-020-62298-z: as the engine measures it.
FDI_BANDS = ("B4", "B6", "B8", "B11")
FDI_SHARE = 10 * (833.0 - 665.0) / (1614.0 - 665.0)
SAMPLE_PIXELS = 800
# The range of values to show, in the spread of water and in its brightness: the wider of the two is taken.
WIDTH_IN_WATER, WIDTH_IN_LEVEL = 2.5, 1.0
CIVIDIS = ("#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838")
"""matplotlib's cividis (CC0): even, and the same to all kinds of colour vision."""


def bands_of(path: str) -> Dict[str, int]:
    """Band numbers by Sentinel-2 name, from the bands' own names, else from their count; empty where neither tells."""
    dataset = _open(path)
    if dataset is None:
        return {}
    count = dataset.RasterCount
    found = {}
    for number in range(1, count + 1):
        name = band_name(dataset.GetRasterBand(number).GetDescription() or "")
        if name and name not in found:
            found[name] = number
    if not found and count in ORDERS:
        return {name: number for number, name in enumerate(ORDERS[count], 1)}
    return found


def band_name(description: str) -> Optional[str]:
    """The Sentinel-2 band that a band's name tells, or None."""
    match = re.search(r"(?<![A-Za-z0-9])B(?:and)?[ _]?0?(8A|1[0-2]|[1-9])(?![A-Za-z0-9])", description, re.I)
    if match:
        return f"B{match[1].upper()}"
    match = re.search(r"(?:nm|rho\w*_|^)(\d{3,4})(?:[ _]?nm)?$", description.strip(), re.I)
    if match:
        nearest = min(CENTRES, key=lambda name: abs(CENTRES[name] - int(match[1])))
        return nearest if abs(CENTRES[nearest] - int(match[1])) <= TOLERANCE_NM else None
    return COMMON.get(description.strip().lower())


def colour_layer(path: str, name: str, mask: Optional[str] = None, grey: bool = False) -> Optional[QgsRasterLayer]:
    """The scene in its own colours, stretched to its water; None where it cannot be opened.

    Args:
        path: the scene.
        name: the layer's name.
        mask: its mask, so that the stretch looks at what was observed only.
        grey: the same in grey and pale, for things to stand out on.
    """
    layer = raster_layer(path, name)
    if not layer.isValid():
        return None
    bands = bands_of(path)
    if not all(band in bands for band in TRUE_COLOUR):
        return layer
    numbers = [bands[band] for band in TRUE_COLOUR]
    values = _water(path, [*numbers, bands.get("B8", numbers[0])], mask)
    renderer = QgsMultiBandColorRenderer(layer.dataProvider(), *numbers)
    colours = ("Red", "Green", "Blue")
    for number, (low, high), colour in zip(numbers, _ranges(values[:3]), colours):
        getattr(renderer, f"set{colour}ContrastEnhancement")(_stretch(layer, number, low, high))
    layer.setRenderer(renderer)
    # Water is dark: a gamma above 1 lifts it without burning out what is bright.
    layer.brightnessFilter().setGamma(1.4)
    if grey:
        layer.hueSaturationFilter().setSaturation(-100)
        layer.brightnessFilter().setBrightness(80)
        layer.brightnessFilter().setContrast(-35)
    return layer


def fdi_layer(
    path: str, name: str, mask: Optional[str] = None, crs: Optional[QgsCoordinateReferenceSystem] = None
) -> Optional[QgsRasterLayer]:
    """The Floating Debris Index, computed while it is drawn; None where a band or a CRS is missing.

    Args:
        path: the scene.
        name: the layer's name.
        mask: its mask, so that the stretch looks at what was observed only.
        crs: of a scene whose file has none.
    """
    bands = bands_of(path)
    source = raster_layer(path, "s")
    if not source.isValid() or not all(band in bands for band in FDI_BANDS):
        return None
    parameters = QgsRasterDataProvider.VirtualRasterParameters()
    # The file's own where it has one: into another, values would be warped before they are drawn.
    parameters.crs = source.crs() if crs is None or source.crs().isValid() else crs
    parameters.extent = source.extent()
    parameters.width, parameters.height = source.width(), source.height()
    b6, b8, b11 = (f'"s@{bands[band]}"' for band in ("B6", "B8", "B11"))
    parameters.formula = f"{b8} - ({b6} + ({b11} - {b6}) * {FDI_SHARE:.6f})"
    link = QgsRasterDataProvider.VirtualRasterInputLayers()
    link.name, link.uri, link.provider = "s", path, "gdal"
    parameters.rInputLayers = [link]
    layer = raster_layer(QgsRasterDataProvider.encodeVirtualRasterProviderUri(parameters), name, "virtualraster")
    if not layer.isValid():
        return None
    low, high = _fdi_range(path, bands, mask)
    _even_ramp(layer, low, high)
    return layer


def _fdi_range(path, bands, mask) -> Tuple[float, float]:
    values = _water(path, [bands.get(band, bands["B4"]) for band in ("B6", "B8", "B11", "B3", "B8")], mask, ndwi=(3, 4))
    if not values.size:
        return 0.0, 1.0
    index = values[1] - (values[0] + (values[2] - values[0]) * FDI_SHARE)
    low, middle, high = np.percentile(index, (2, 50, 99.8))
    return float(low), float(max(high, middle + 3 * (middle - low), low + 1e-9))


def _even_ramp(layer: QgsRasterLayer, low: float, high: float) -> None:
    ramp = QgsColorRampShader(low, high, None, QgsColorRampShader.Type.Interpolated)
    steps = np.linspace(low, high, len(CIVIDIS))
    ramp.setColorRampItemList(
        [QgsColorRampShader.ColorRampItem(float(v), QColor(c), f"{v:.4g}") for v, c in zip(steps, CIVIDIS)]
    )
    shader = QgsRasterShader(low, high)
    shader.setRasterShaderFunction(ramp)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
    renderer.setClassificationMin(low)
    renderer.setClassificationMax(high)
    layer.setRenderer(renderer)


def _stretch(layer, number, low, high) -> QgsContrastEnhancement:
    stretch = QgsContrastEnhancement(layer.dataProvider().dataType(number))
    stretch.setContrastEnhancementAlgorithm(QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum)
    stretch.setMinimumValue(low)
    stretch.setMaximumValue(high)
    return stretch


def _ranges(bands: np.ndarray) -> List[Tuple[float, float]]:
    """The lowest and highest value to show of each band, from the values of water, which the map is about.

    Half of each band's own darkness is taken off, as haze is, so that water stays bluish without a veil; all bands are
    as wide as the widest, so that what is bright keeps its colour.
    """
    if not bands.size:
        return [(0.0, 1.0)] * len(bands)
    dark, middle = np.percentile(bands, (5, 60), axis=1)
    low = (dark + dark.min()) / 2
    width = max(float((WIDTH_IN_WATER * (middle - low)).max()), float(WIDTH_IN_LEVEL * np.abs(middle).max()), 1e-6)
    return [(float(start) - 0.1 * width, float(start) + 0.9 * width) for start in low]


def _water(path: str, numbers: Sequence[int], mask: Optional[str], ndwi: Tuple[int, int] = (1, 3)) -> np.ndarray:
    """Values of some bands over water, (bands, pixels), from a coarse look at the scene.

    Water is where green outshines the near infrared: NDWI above 0 (McFeeters 1996, doi 10.1080/01431169608948714).

    Args:
        path: the scene.
        numbers: bands to read.
        mask: its mask, or None.
        ndwi: which of `numbers` are green and near infrared.
    """
    dataset = _open(path)
    size = _coarse(dataset.RasterXSize, dataset.RasterYSize)
    values = np.stack([_read(dataset.GetRasterBand(number), size) for number in numbers])
    seen = np.isfinite(values).all(axis=0) & (values != 0).any(axis=0)
    classes = _open(mask) if mask else None
    if classes is not None and (classes.RasterXSize, classes.RasterYSize) == (dataset.RasterXSize, dataset.RasterYSize):
        seen &= np.isin(_read(classes.GetRasterBand(1), size), (0, 1, 2))
    observed = values[:, seen]
    water = observed[:, observed[ndwi[0]] > observed[ndwi[1]]]
    return water if water.shape[1] > 0.05 * observed.shape[1] else observed


def _coarse(width, height) -> Tuple[int, int]:
    step = max(1, max(width, height) // SAMPLE_PIXELS)
    return -(-width // step), -(-height // step)


def _read(band, size) -> np.ndarray:
    values = band.ReadAsArray(buf_xsize=size[0], buf_ysize=size[1]).astype(np.float64)
    nodata = band.GetNoDataValue()
    if nodata is not None and not np.isnan(nodata):
        values[values == nodata] = np.nan
    return values


def _open(path):
    try:
        return gdal.Open(path)
    except RuntimeError:
        return None
