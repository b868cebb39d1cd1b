"""Opening Sentinel-2 products: whatever a person chose, one `Product` comes out, or one message: what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from engine.errors import RasterError
from engine.sentinel2.contents import BandSource, CloudMask, Product
from engine.sentinel2.files import FileTree, file_tree
from engine.sentinel2.loose import LooseFile, open_acolite, open_loose
from engine.sentinel2.naming import RASTER_ENDINGS, is_picture
from engine.sentinel2.safe import find_products, open_safe
from engine.sentinel2.stac import StacItem, local_name, stac_item

__all__ = ["BandSource", "CloudMask", "Product", "is_product", "open_product"]

_SUBDATASET = re.compile(
    r"SENTINEL2_(?:L1C|L2A|L1C_TILE):\"?(?P<path>.+?\.xml)\"?:(?P<what>10m|20m|60m|TCI|PREVIEW)(?::EPSG_\d+)?",
    re.IGNORECASE,
)
_GRANULE = re.compile(r"(?:(?P<root>.*)/)?GRANULE/(?P<name>[^/]+)(?:/[^/]+)?/?")
_RASTER_FOLDER = re.compile(r"(?:IMG_DATA/)?(?:R(?:10|20|60)m/)?[^/]+", re.IGNORECASE)


def is_product(path: str) -> bool:
    """Whether a path looks like one for `open_product` rather than for GDAL: a folder, zip, metadata or NetCDF."""
    if _SUBDATASET.fullmatch(path):
        return True
    ending = PurePosixPath(path).suffix.lower()
    if path.startswith("/vsizip/"):
        return ending not in RASTER_ENDINGS
    return Path(path).is_dir() or ending in (".zip", ".xml", ".nc", ".json", ".safe")


def open_product(path: str | Path | Sequence[str | Path]) -> Product:
    """Open what a person chose as a product.

    A path is a SAFE folder, the folder around it, a granule's folder in it, its zip, its `MTD_*.xml`, a subdataset's
    name of GDAL's SENTINEL2 driver (any of a product's, which means the product), a folder of single-band files, a STAC
    item beside such files, or an L2R file of ACOLITE. A sequence lists single-band files.

    Raises:
        RasterError: it is none of these, or is damaged, incomplete or ambiguous; the message says what to do.
        ReflectanceError: some of the files have a scale and others do not.
    """
    if not isinstance(path, (str, Path)):
        return _from_list([str(file) for file in path])
    text = _without_subdataset(str(path))
    if text.lower().endswith(".nc"):
        if not Path(text).exists():
            raise RasterError(f"There is no file {text}.")
        return open_acolite(text)
    tree, file = file_tree(text)
    if file:
        return _from_file(tree, file)
    return _from_tree(tree)


def _without_subdataset(text: str) -> str:
    match = _SUBDATASET.fullmatch(text)
    if match is None:
        return text
    if match["what"].upper() in ("TCI", "PREVIEW"):
        raise RasterError(
            f"{text} is the product's picture for viewing, whose colours are no reflectance. Choose the product itself."
        )
    return match["path"]


def _from_list(paths: Sequence[str]) -> Product:
    if not paths:
        raise RasterError("The list of files is empty: choose the single-band files of one scene.")
    for path in paths:
        if not path.startswith("/vsi") and not Path(path).is_file():
            raise RasterError(f"There is no file {path}.")
    return open_loose(
        [LooseFile(PurePosixPath(path.replace("\\", "/")).name, path) for path in paths], str(Path(paths[0]).parent)
    )


def _from_file(tree: FileTree, file: str) -> Product:
    """A product from one of its files."""
    name = PurePosixPath(file).name
    upper = name.upper()
    if upper.endswith(".XML") and "MTD_" in upper:
        return _from_metadata_file(tree, file)
    if upper.endswith(".JSON"):
        return _from_item(tree, file)
    if is_picture(name):
        raise RasterError(
            f"{name} is a picture made for viewing, whose colours are no reflectance. "
            "Choose the product's folder, zip or metadata file instead."
        )
    if upper.endswith(tuple(ending.upper() for ending in RASTER_ENDINGS)):
        raise RasterError(
            f"{name} is one raster, no product: give a stack of bands as INPUT, or choose the folder with all "
            "single-band files."
        )
    raise RasterError(
        f"{tree.place}/{name} is no Sentinel-2 product: choose its folder, its zip, its MTD_MSIL1C.xml or "
        "MTD_MSIL2A.xml, or an L2R file of ACOLITE (.nc)."
    )


def _from_metadata_file(tree: FileTree, file: str) -> Product:
    match = _GRANULE.fullmatch(f"{tree.inner}/{file}" if tree.inner else file)
    if match:
        return _from_granule(tree, match)
    inside = PurePosixPath(file).parent.as_posix()
    root = tree.below("" if inside == "." else inside)
    return open_safe(root, PurePosixPath(file).name)


def _from_granule(tree: FileTree, match: re.Match[str]) -> Product:
    """A product from the path of one of its granules."""
    root = tree.at(match["root"] or "")
    products = find_products(root)
    if "" not in products:
        raise RasterError(
            f"{match['name']} is a granule whose product's MTD_MSIL1C.xml or MTD_MSIL2A.xml is not beside GRANULE."
        )
    return open_safe(root, products[""], match["name"])


def _from_tree(tree: FileTree) -> Product:
    match = _GRANULE.fullmatch(tree.inner)
    if match:
        return _from_granule(tree, match)
    products = find_products(tree)
    if len(products) > 1:
        listed = ", ".join(root.rstrip("/") or products[root] for root in sorted(products)[:3])
        raise RasterError(f"{tree.place} holds {len(products)} products ({listed}): choose one of them.")
    for root, file in products.items():
        return open_safe(tree.below(root.rstrip("/")), file[len(root) :])
    direct = [name for name in tree.names if "/" not in name]
    rasters = _rasters(direct) or _rasters([name for name in tree.names if _RASTER_FOLDER.fullmatch(name)])
    items = [name for name in direct if name.lower().endswith(".json")]
    item = _readable_item(tree, items[0]) if len(items) == 1 else None
    return open_loose([LooseFile(name, tree.gdal_path(name)) for name in rasters], tree.place, item)


def _rasters(names: Sequence[str]) -> list[str]:
    return [name for name in names if name.lower().endswith(RASTER_ENDINGS)]


def _readable_item(tree: FileTree, name: str) -> StacItem | None:
    """A STAC item beside the files; other JSON files are none of our business."""
    data = tree.read(name)
    return stac_item(data, f"{tree.place}/{name}") if b"stac_version" in data else None


def _from_item(tree: FileTree, file: str) -> Product:
    """A product from a STAC item whose images lie where its addresses say, or beside it."""
    item = stac_item(tree.read(file), f"{tree.place}/{file}")
    files = []
    for asset in (*item.bands.values(), *([item.classes] if item.classes else [])):
        found = next(
            (name for name in (asset.href.removeprefix("./"), local_name(asset.href)) if name in tree.names), None
        )
        if found:
            files.append(LooseFile(found, tree.gdal_path(found)))
    if not files:
        raise RasterError(
            f"None of the images of {file} lies beside it (first: {local_name(next(iter(item.bands.values())).href)}): "
            "download them into its folder."
        )
    return open_loose(files, tree.place, item)
