"""GDAL's virtual rasters: bands of several files and grids as one raster, described by a text that GDAL opens.

The format is https://gdal.org/en/stable/drivers/raster/vrt.html. Bands are laid on the grid of the finest one by
nearest neighbour: each 10 m pixel takes the number of the 20 m or 60 m pixel that it lies in.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import SubElement

import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from engine.errors import RasterError

__all__ = ["Layer", "SourceGrid", "opened", "source_grid", "vrt_text"]

# GDAL's names of NumPy's types.
GDAL_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
    "float32": "Float32", "float64": "Float64",
}  # fmt: skip


@dataclass(frozen=True)
class SourceGrid:
    """A file's grid and what is stored in it."""

    width: int
    height: int
    transform: Affine
    crs: CRS | None
    dtype: str
    count: int
    nodata: float | None
    scales: tuple[float, ...]
    offsets: tuple[float, ...]

    @property
    def step(self) -> float:
        """A pixel's width, in the CRS's unit."""
        return abs(self.transform.a)


@dataclass(frozen=True)
class Layer:
    """One band of a virtual raster."""

    description: str
    path: str
    number: int
    grid: SourceGrid
    scale: float | None
    offset: float | None
    nodata: float | None
    tags: Mapping[str, str]


def source_grid(path: str) -> SourceGrid:
    """The grid of a file, read from its header.

    Raises:
        RasterError: the file cannot be opened as a raster.
    """
    try:
        with opened(path) as dataset:
            dtype = dataset.dtypes[0] if dataset.count else ""
            return SourceGrid(
                dataset.width, dataset.height, dataset.transform, dataset.crs, dtype, dataset.count, dataset.nodata,
                tuple(dataset.scales), tuple(dataset.offsets),
            )  # fmt: skip
    except (RasterioError, OSError) as error:
        raise RasterError(f"{path} cannot be opened as a raster: {error}. Is the file complete?") from error


@contextmanager
def opened(path: str) -> Iterator[rasterio.DatasetReader]:
    """A dataset for its header's sake, without a warning where it has no place: containers of rasters have none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as dataset:
            yield dataset


def vrt_text(layers: Sequence[Layer], tags: Mapping[str, str], onto: SourceGrid | None = None) -> str:
    """The text of a virtual raster with these layers, on the grid of the finest or on the grid `onto`.

    Raises:
        RasterError: a layer has another CRS than the others, or lies elsewhere.
    """
    target = onto or min((layer.grid for layer in layers), key=lambda grid: grid.step)
    root = ElementTree.Element("VRTDataset", rasterXSize=str(target.width), rasterYSize=str(target.height))
    if target.crs:
        srs = SubElement(root, "SRS", dataAxisToSRSAxisMapping="2,1" if target.crs.is_geographic else "1,2")
        srs.text = target.crs.to_wkt()
    SubElement(root, "GeoTransform").text = ", ".join(repr(float(value)) for value in target.transform.to_gdal())
    _add_tags(root, tags)
    for number, layer in enumerate(layers, 1):
        _check(layer, target, layers[0])
        _add_band(root, number, layer, target)
    return ElementTree.tostring(root, encoding="unicode")


def _add_band(root: ElementTree.Element, number: int, layer: Layer, target: SourceGrid) -> None:
    band = SubElement(root, "VRTRasterBand", dataType=GDAL_TYPES.get(layer.grid.dtype, "Float32"), band=str(number))
    _add_tags(band, layer.tags)
    SubElement(band, "Description").text = layer.description
    if layer.nodata is not None:
        SubElement(band, "NoDataValue").text = repr(layer.nodata)
    if layer.scale is not None and layer.offset is not None:
        SubElement(band, "Offset").text = repr(float(layer.offset))
        SubElement(band, "Scale").text = repr(float(layer.scale))
    source = SubElement(band, "SimpleSource", resampling="nearest")
    SubElement(source, "SourceFilename", relativeToVRT="0").text = layer.path
    SubElement(source, "SourceBand").text = str(layer.number)
    SubElement(source, "SourceProperties", RasterXSize=str(layer.grid.width), RasterYSize=str(layer.grid.height),
               DataType=GDAL_TYPES.get(layer.grid.dtype, "Float32"))  # fmt: skip
    _add_rectangle(source, "SrcRect", 0, 0, layer.grid.width, layer.grid.height)
    left, top = ~target.transform @ (layer.grid.transform.c, layer.grid.transform.f)
    across, down = layer.grid.transform.a / target.transform.a, layer.grid.transform.e / target.transform.e
    # Origins are whole target pixels; what rounding leaves must not shift a nearest neighbour.
    left, top = (round(side) if math.isclose(side, round(side), abs_tol=1e-3) else side for side in (left, top))
    _add_rectangle(source, "DstRect", left, top, layer.grid.width * across, layer.grid.height * down)


def _add_rectangle(
    parent: ElementTree.Element, name: str, left: float, top: float, width: float, height: float
) -> None:
    SubElement(parent, name, xOff=repr(left), yOff=repr(top), xSize=repr(round(width, 6)), ySize=repr(round(height, 6)))


def _add_tags(parent: ElementTree.Element, tags: Mapping[str, str]) -> None:
    if tags:
        metadata = SubElement(parent, "Metadata")
        for key, value in tags.items():
            SubElement(metadata, "MDI", key=key).text = value


def _check(layer: Layer, target: SourceGrid, first: Layer) -> None:
    if layer.grid.crs != target.crs:
        raise RasterError(
            f"{layer.description} ({layer.path}) has the CRS {layer.grid.crs}, the others have {target.crs}: "
            "these files are not of one scene."
        )
    west, north = (a - b for a, b in zip(_corner(layer.grid), _corner(target), strict=True))
    if max(abs(west), abs(north)) > max(layer.grid.step, target.step):
        raise RasterError(
            f"{layer.description} ({layer.path}) begins {max(abs(west), abs(north)):g} units away from "
            f"{first.description}: these files are not of one scene."
        )


def _corner(grid: SourceGrid) -> tuple[float, float]:
    return grid.transform.c, grid.transform.f
