"""What tells where not to look in a scene: its product's masks, a person's layers, or the image itself."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.crs import named_crs
from engine.errors import RasterError
from engine.grid import Grid
from engine.jobs import DetectRequest, PrepareRequest
from engine.layers import AlignedRaster, Place, Polygons, open_aligned, open_place
from engine.raster import Scene, open_scene
from engine.sentinel2.cloudmask import cloud_polygons
from engine.sentinel2.masks import (
    CIRRUS_B10,
    LAND,
    LOOK,
    NO_DATA,
    MaskOptions,
    reason_mask,
    reasons_from_flags,
    widened,
)
from engine.sentinel2.source import Source
from engine.tiling import Window

__all__ = ["IMAGE_BANDS", "Guides", "open_guides", "reasons_in"]

log = logging.getLogger(__name__)

IMAGE_BANDS = ("B2", "B3", "B4", "B8", "B11")
"""Bands that land and cloud are told by where nothing else tells them."""


@dataclass(frozen=True, eq=False)
class Guides:
    """What tells where not to look, open; None where there is none."""

    classes: AlignedRaster | None = None
    clouds: tuple[Place, ...] = ()
    cirrus: Scene | None = None
    stored: AlignedRaster | None = None
    water: Place | None = None
    area: Place | None = None
    image: bool = False


def open_guides(source: Source, request: DetectRequest | PrepareRequest, stack: ExitStack) -> Guides:
    """Open what tells where not to look."""
    grid, product = source.scene.grid, source.product
    water = _own_layer("water", request.water, request.water_crs, grid, stack)
    area = _own_layer("area", request.area, request.area_crs, grid, stack)
    if isinstance(area, Polygons) and area.empty:
        raise RasterError(f"AREA ({request.area}) does not touch the scene, so there is nowhere to look.")
    if isinstance(water, Polygons) and water.empty:
        log.warning("WATER does not touch the scene: all of it counts as land.")
    own = Guides(water=water, area=area)
    if request.masks == "none":
        return own
    stored = _beside(source, stack) if request.masks == "auto" else None
    if stored:
        return Guides(stored=stored, water=water, area=area)
    clouds, cirrus = _clouds(source, stack)
    text = product.scene_classification_vrt() if product and request.masks == "auto" else None
    if product and text:
        log.info("Land and cloud: from the product's scene classification.")
        classes = stack.enter_context(open_aligned(text, grid, f"The scene classification of {product.product_id}"))
        return Guides(classes=classes, clouds=clouds, water=water, area=area)
    missing = [band for band in IMAGE_BANDS if band not in source.scene.bands]
    if missing:
        log.warning("Land and cloud cannot be told from the image: the model does not use %s.", ", ".join(missing))
    else:
        log.info("Land and cloud: from the image%s.", " and the product's cloud mask" if clouds else "")
    return Guides(clouds=clouds, cirrus=cirrus, water=water, area=area, image=not missing)


def _own_layer(field: str, path: str | None, crs: str | None, grid: Grid, stack: ExitStack) -> Place | None:
    """A person's layer on the scene's grid, None where none is named."""
    if not path:
        return None
    purpose = field.upper()
    meant = named_crs(f"{field}_crs", crs, f"{purpose} ({path})")
    return stack.enter_context(open_place(path, grid, purpose, meant))


def _beside(source: Source, stack: ExitStack) -> AlignedRaster | None:
    """The quality mask that was prepared with a raster and lies beside it.

    Raises:
        RasterError: it is no raster of the scene's pixels. Beyond it everything would count as looked at.
    """
    name = source.tags.get("quality_mask")
    if not name:
        return None
    place = Path(source.path).parent / name
    if not place.is_file():
        log.warning(
            "The quality mask %s, which was prepared with %s, is not there: what was edited in it does not count. "
            "Put it back beside the scene, or prepare the scene again.", place, source.path,
        )  # fmt: skip
        return None
    log.info("Land and cloud: from %s.", place.name)
    grid = source.scene.stored_grid
    mask = stack.enter_context(open_aligned(str(place), grid, keep_nodata=True))
    if not mask.covers(grid):
        raise RasterError(
            f"The quality mask {place} does not cover {source.path}: it was made for another scene, or cut. Prepare "
            "the scene again, or set MASKS to image."
        )
    return mask


def _clouds(source: Source, stack: ExitStack) -> tuple[tuple[Place, ...], Scene | None]:
    """The product's own cloud masks, and its cirrus band."""
    product, grid = source.product, source.scene.grid
    if product is None:
        return (), None
    places: list[Place] = []
    text = product.cloud_mask_vrt()
    if text:
        places.append(stack.enter_context(open_aligned(text, grid, f"The cloud mask of {product.product_id}")))
    shapes = [cloud.geometry for cloud in cloud_polygons(product)]
    if shapes:
        places.append(Polygons(shapes, grid))
    if "B10" not in product.bands:
        return tuple(places), None
    name = f"{product.product_id} B10"
    cirrus = stack.enter_context(open_scene(product.as_vrt(("B10",)), ("B10",), name=name))
    return tuple(places), _on_grid(cirrus, grid)


def _on_grid(cirrus: Scene, grid: Grid) -> Scene:
    """The same band over the grid's part of the product."""
    shift = ~cirrus.grid.transform @ grid.transform
    return cirrus.cut(Window(round(shift.f), round(shift.c), grid.height, grid.width))


def reasons_in(
    window: Window, reflectance: npt.NDArray[np.float32], bands: tuple[str, ...], observed: npt.NDArray[np.bool_],
    guides: Guides, options: MaskOptions,
) -> npt.NDArray[np.uint8]:  # fmt: skip
    """Why not to look at the pixels of a window, LOOK where nothing speaks against it.

    Args:
        window: of the scene.
        reflectance: (bands, height, width) there.
        bands: their names.
        observed: (height, width), where there is data.
        guides: what tells.
        options: widths of shores and collars, levels of cloud.

    Returns:
        (height, width): LOOK, LAND, CLOUD or NO_DATA.
    """
    cloud = np.zeros(observed.shape, dtype=bool)
    for place in guides.clouds:
        cloud |= place.inside(window)
    if guides.cirrus:
        cloud |= guides.cirrus.read(window)[0][0] > CIRRUS_B10
    if guides.stored:
        mask: npt.NDArray[np.uint8] = guides.stored.read(window)[0].astype(np.uint8)
        mask[~observed & (mask == LOOK)] = NO_DATA
    elif guides.classes:
        classes = guides.classes.read(window)[0].astype(np.uint8)
        mask = reason_mask(reflectance, bands, observed, classes=classes, cloud=cloud, options=options)
    elif guides.image:
        mask = reason_mask(reflectance, bands, observed, cloud=cloud, options=options)
    else:
        mask = reasons_from_flags(np.zeros_like(observed), cloud, observed, options)
    if guides.water:
        mask[mask == LAND] = LOOK
        mask[widened(~guides.water.inside(window), options.shore_pixels) & (mask == LOOK)] = LAND
    if guides.area:
        mask[~guides.area.inside(window)] = NO_DATA
    return mask
