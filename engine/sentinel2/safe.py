"""SAFE products: the folder that ESA delivers, of every naming since 2015, also inside a zip.

Since December 2016 a product holds one granule (`MTD_MSIL1C.xml`, `GRANULE/L1C_T…/MTD_TL.xml`, `IMG_DATA/…_B02.jp2`,
and `IMG_DATA/R10m/…_B02_10m.jp2` for L2A). Before, it held up to some twenty, and its files were called
`S2A_OPER_MTD_SAFL1C_…`. Images are listed without their ending, and are JP2 from ESA, TIFF from others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType

from engine.errors import RasterError
from engine.sentinel2.contents import BandSource, CloudMask, Product
from engine.sentinel2.files import FileTree
from engine.sentinel2.metadata import (
    GranuleMetadata,
    MaskFile,
    ProductMetadata,
    granule_metadata,
    product_metadata,
)
from engine.sentinel2.naming import RASTER_ENDINGS, read_name

__all__ = ["find_products", "open_safe"]

_PRODUCT_FILE = re.compile(
    r"(?P<root>(?:[^/]+/)?)(?:S2[A-D]_[A-Z]+_)?MTD_(?:MSI|SAF)L(?:1C|2A)[^/]*\.xml", re.IGNORECASE
)
_GRANULE_FILE = re.compile(r"(?:MTD_TL|S2[A-D]_[A-Z]+_MTD_L(?:1C|2A)_TL_[^/]*)\.xml", re.IGNORECASE)
# Metres of a pixel of each band in L1C, whose file names do not say.
NATIVE_RESOLUTION = {
    "B1": 60, "B2": 10, "B3": 10, "B4": 10, "B5": 20, "B6": 20, "B7": 20, "B8": 10, "B8A": 20, "B9": 60, "B10": 60,
    "B11": 20, "B12": 20,
}  # fmt: skip


def find_products(tree: FileTree) -> dict[str, str]:
    """The products in a tree: the metadata file of each by its root, at the top or one folder below."""
    return {match["root"]: name for name in tree.names if (match := _PRODUCT_FILE.fullmatch(name))}


def open_safe(tree: FileTree, metadata_file: str, granule: str | None = None) -> Product:
    """A product from its tree.

    Args:
        tree: the product's files.
        metadata_file: the product's metadata file in the tree.
        granule: name of the granule's folder, for products that hold several.

    Raises:
        RasterError: metadata or images are missing or damaged, or there are several granules and none is named.
    """
    metadata = product_metadata(tree.read(metadata_file), f"{tree.place}/{metadata_file}")
    folder = f"GRANULE/{granule or _only_granule(tree, metadata)}/"
    inside = [name for name in tree.names if name.startswith(folder)]
    tile = _granule(tree, folder, inside)
    images = _images(inside, folder)
    bands = {image.band: image for image in images if image.band}
    missing = _missing(metadata, images, folder)
    if not any(name not in missing for name in bands):
        raise RasterError(_no_images(tree, folder, missing))
    classes = next((image for image in images if image.band is None), None)
    return Product(
        product_id=metadata.product_id,
        level=metadata.level,
        processing_baseline=metadata.processing_baseline,
        sensing_time=tile.sensing_time or metadata.sensing_time,
        tile=tile.tile,
        bands={
            name: BandSource(tree.gdal_path(image.path), 1, *metadata.scaling(name), resolution=image.resolution)
            for name, image in bands.items()
            if name not in missing
        },
        scene_classification=BandSource(tree.gdal_path(classes.path), 1, resolution=classes.resolution)
        if classes
        else None,
        cloud_masks=tuple(_cloud_masks(tree, inside, tile.masks)),
        angles=tile.angles,
        wavelengths=metadata.wavelengths,
        missing=missing,
    )


@dataclass(frozen=True)
class _Image:
    """An image file: of a band, or the scene classification (band None)."""

    band: str | None
    resolution: int
    path: str


def _only_granule(tree: FileTree, metadata: ProductMetadata) -> str:
    folders = sorted({name.split("/")[1] for name in tree.names if name.startswith("GRANULE/") and name.count("/") > 1})
    if not folders:
        raise RasterError(f"{tree.place} has no GRANULE folder: the product is not complete. Download it again.")
    if len(folders) > 1:
        listed = ", ".join([*folders[:3], *(["…"] if len(folders) > 3 else [])])
        raise RasterError(f"{tree.place} holds {len(folders)} granules ({listed}): choose the folder of one of them.")
    return folders[0]


def _granule(tree: FileTree, folder: str, inside: list[str]) -> GranuleMetadata:
    name = next((name for name in inside if _GRANULE_FILE.fullmatch(name[len(folder) :])), None)
    if name is None:
        raise RasterError(f"{tree.place}/{folder} has no MTD_TL.xml: the product is not complete. Download it again.")
    return granule_metadata(tree.read(name), f"{tree.place}/{name}")


def _images(inside: list[str], folder: str) -> list[_Image]:
    """The finest image of each band and of the scene classification."""
    finest: dict[str | None, _Image] = {}
    for path in inside:
        image = (
            _image(path) if path.startswith(f"{folder}IMG_DATA/") and path.lower().endswith(RASTER_ENDINGS) else None
        )
        if image and (image.band not in finest or image.resolution < finest[image.band].resolution):
            finest[image.band] = image
    return list(finest.values())


def _image(path: str) -> _Image | None:
    name = read_name(path)
    if name.role == "classes":
        return _Image(None, name.resolution or 20, path)
    return _Image(name.band, name.resolution or NATIVE_RESOLUTION[name.band], path) if name.band else None


def _missing(metadata: ProductMetadata, images: list[_Image], folder: str) -> Mapping[str, str]:
    """Bands whose finest image is listed but is not there, with the image's name."""
    there = {PurePosixPath(image.path).stem for image in images}
    finest: dict[str, _Image] = {}
    for listed in metadata.images:
        if "/" in listed and not listed.startswith(folder):
            continue
        image = _image(listed)
        if image and image.band and (image.band not in finest or image.resolution < finest[image.band].resolution):
            finest[image.band] = image
    own = {name: image for name, image in finest.items() if "/" in image.path}
    # Identifiers without a path, as before 2016, may be another granule's.
    return MappingProxyType(
        {name: image.path for name, image in own.items() if PurePosixPath(image.path).name not in there}
    )


def _no_images(tree: FileTree, folder: str, missing: Mapping[str, str]) -> str:
    listed = f" (first: {next(iter(missing.values()))})" if missing else ""
    return (
        f"{tree.place} has metadata but none of its images{listed}: {folder}IMG_DATA holds no band. "
        "Choose the product's whole folder, or download it again."
    )


def _cloud_masks(tree: FileTree, inside: list[str], masks: tuple[MaskFile, ...]) -> Iterator[CloudMask]:
    """The masks of the metadata whose files are there: by path, else by name."""
    by_name = {PurePosixPath(name).name: name for name in inside}
    for mask in masks:
        found = mask.path if mask.path in tree.names else by_name.get(PurePosixPath(mask.path).name)
        if found:
            yield CloudMask(mask.kind, tree.gdal_path(found))
