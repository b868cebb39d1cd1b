"""What QGIS can draw of a scene: the raster that was searched, or the bands of a product put together."""

import os
from typing import Dict, List, Tuple

from osgeo import gdal

from .quiet import opened
from .scene_image import FDI_BANDS, TRUE_COLOUR, band_name

ENDINGS = (".jp2", ".tif", ".tiff")
IMAGES = "/IMG_DATA/"
"""Where a product of ESA's keeps its bands; beside them are masks that are named by band too."""
RAYLEIGH_CORRECTED = "rhorc_"
"""What ACOLITE calls the layers that the engine reads."""


UPSIDE_DOWN = (0, 1, 0, 0, 0, 1)
"""The transform of mere pixels, as rasterio writes it; QGIS draws its first row at the bottom, above 0."""


def drawable(path: str) -> str:
    """The name under which QGIS opens a scene: its own, or for a product a virtual raster of the bands that are drawn.

    So it is for a raster that would not lie where its results do. The virtual raster is text, not a file: no folder is
    written to, and a project that holds it can be saved.

    Args:
        path: a raster, or a product as Detect Marine Debris takes it: folder, zip, metadata file, one of its bands.

    Returns:
        The name, or an empty text where there is nothing to draw.
    """
    return upright(_drawable(path))


def upright(path: str) -> str:
    """The name of a raster under which it lies where its results do; its own but for mere pixels upside down.

    The engine counts rows downwards from 0, as QGIS does by itself where a file says nothing.
    """
    # By its absolute path: a virtual raster may outlive the folder that one was in.
    dataset = opened(os.path.abspath(path) if os.path.exists(path) else path) if path else None
    if dataset is None or dataset.GetGCPCount() or dataset.GetGeoTransform(can_return_null=True) != UPSIDE_DOWN:
        return path
    copy = gdal.GetDriverByName("VRT").CreateCopy("", dataset)
    copy.SetGeoTransform((0, 1, 0, 0, 0, -1))
    return _text(copy)


def _drawable(path: str) -> str:
    if not path or not os.path.exists(path):
        return ""
    dataset = opened(path)
    count = 0 if dataset is None else dataset.RasterCount
    if count > 1 or (count and not band_name(_stem(path))):
        return path
    bands = _finest(_layers(dataset) if dataset is not None and not count else [], _files(path))
    if not all(band in bands for band in TRUE_COLOUR):
        return path if count else ""
    return _stacked(bands)


def is_product(path: str) -> bool:
    """Whether a scene is no raster by itself, but files that belong together."""
    return _drawable(path) not in ("", path)


def _layers(dataset) -> List[Tuple[str, str]]:
    """Layers of ACOLITE's NetCDF: what tells the band, and the name that GDAL opens."""
    found = [(name.rpartition(":")[2], name) for name, _ in dataset.GetSubDatasets()]
    return [(label, name) for label, name in found if label.startswith(RAYLEIGH_CORRECTED)]


def _files(path: str) -> List[Tuple[str, str]]:
    """Raster files of a product: what tells the band, and the name that GDAL opens."""
    root = _root(path)
    names = [name.replace("\\", "/") for name in gdal.ReadDirRecursive(root) or []]
    places = [f"{root}/{name}" for name in sorted(names) if name.lower().endswith(ENDINGS)]
    images = [place for place in places if IMAGES in place]
    if images:
        # Of several granules the first.
        granule = images[0].partition(IMAGES)[0]
        places = [place for place in images if place.startswith(granule + IMAGES)]
    return [(_stem(place), place) for place in places]


def _root(path: str) -> str:
    """The folder or archive that a product's files lie in."""
    path = os.path.abspath(path).replace("\\", "/")
    if os.path.isdir(path):
        return path
    if path.lower().endswith(".zip"):
        # Without the curly brackets that GDAL takes here, which QGIS loses in the address of a virtual raster.
        return f"/vsizip/{path}"
    head, images, _ = path.partition(IMAGES)
    return head + images.rstrip("/") if images else os.path.dirname(path)


def _finest(*groups: List[Tuple[str, str]]) -> Dict[str, str]:
    """Of the bands that are drawn, the file with the smallest pixels."""
    best: Dict[str, Tuple[int, str]] = {}
    for label, name in (pair for group in groups for pair in group):
        band = band_name(label)
        if band not in TRUE_COLOUR + FDI_BANDS:
            continue
        dataset = opened(name)
        if dataset is not None and dataset.RasterCount == 1 and dataset.RasterXSize > best.get(band, (0, ""))[0]:
            best[band] = (dataset.RasterXSize, name)
    return {band: name for band, (_, name) in sorted(best.items())}


def _stacked(bands: Dict[str, str]) -> str:
    """A virtual raster, as text in one line, of files on one grid or on several that cover the same ground."""
    options = {"separate": True, "resolution": "highest"}
    # A band is of no use once nobody holds its data set any more.
    whole = opened(next(iter(bands.values())))
    first = whole.GetRasterBand(1)
    if first.GetNoDataValue() is None and first.DataType in (gdal.GDT_Byte, gdal.GDT_UInt16, gdal.GDT_Int16):
        # Products count from 1; a float's 0 can be a number.
        options.update(srcNodata="0", VRTNodata="0")
    try:
        dataset = gdal.BuildVRT("", list(bands.values()), **options)
    except RuntimeError:
        dataset = None
    if dataset is None or dataset.RasterCount != len(bands):
        return ""
    for number, band in enumerate(bands, 1):
        dataset.GetRasterBand(number).SetDescription(band)
    return _text(dataset)


def _text(virtual: gdal.Dataset) -> str:
    """A virtual raster as text in one line."""
    return " ".join(line.strip() for line in virtual.GetMetadata("xml:VRT")[0].splitlines())


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]
