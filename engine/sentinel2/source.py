"""What a person gave to look at, a raster or a product, as one scene with all that is known of it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.bands import parse_mapping
from engine.crs import named_crs
from engine.errors import RasterError, RequestError
from engine.jobs import DetectRequest, PrepareRequest
from engine.raster import Scene, open_scene
from engine.sentinel2.metadata import LEVELS
from engine.sentinel2.product import Product, is_product, open_product
from engine.sentinel2.rayleigh import corrected_product

__all__ = ["RAYLEIGH_CORRECTED", "Source", "open_source"]

log = logging.getLogger(__name__)

RAYLEIGH_CORRECTED = "Rayleigh-corrected"
# What a product, or a scene prepared from one, says of itself in its tags; a practice scene says that it is one.
KNOWN = (
    "product_id", "level", "source_level", "processing_baseline", "sensing_time", "tile", "quality_mask",
    "practice_seed",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Source:
    """A scene, where it comes from, and its product where it is one."""

    scene: Scene
    product: Product | None
    path: str
    """What was given, for messages and tags."""
    tags: dict[str, str]
    """Of KNOWN, what is known."""

    @property
    def level(self) -> str | None:
        """The level of the reflectance that the model gets; None where nothing tells."""
        return self.tags.get("level")

    @property
    def files(self) -> list[str]:
        """What is read of it, or may be, as far as these are files: no result may take their place."""
        read = [self.path, *self.scene.files]
        if self.tags.get("quality_mask"):
            read.append(str(Path(self.path).parent / self.tags["quality_mask"]))
        if self.product:
            classes = self.product.scene_classification
            read += [band.path for band in (*self.product.bands.values(), *([classes] if classes else []))]
            read += [mask.path for mask in self.product.cloud_masks]
        return read

    def nothing_seen(self, request: DetectRequest | PrepareRequest) -> RasterError:
        """What to say where no pixel was looked at: of the data itself, or of what a person left of it."""
        if request.area:
            return RasterError(
                f"{self.path} holds no data within AREA ({request.area}), so nothing was looked at: does AREA lie "
                "elsewhere, or is it empty there?"
            )
        extent = " in the extent" if request.extent else ""
        return RasterError(
            f"{self.path} holds no data{extent}: every pixel is no-data, NaN or 0, so nothing was looked at."
        )

    def validated(self, card_level: str) -> bool:
        """Whether a model whose card says `card_level` was measured on reflectance of this kind.

        Not where the level is not known, nor where we corrected it ourselves: our correction was checked on spectra of
        water, not on labelled debris.
        """
        made_here = self.tags.get("source_level") not in (None, self.level)
        return self.level is not None and card_level.startswith(self.level) and not made_here

    def level_note(self, card_level: str) -> str:
        """One sentence: which level was used, and whether the model was validated on it."""
        if self.level is None:
            return f"The level of the reflectance is not known; the model was validated on {card_level}. Set LEVEL."
        if self.validated(card_level):
            return f"Level {self.level}, on which the model was validated."
        source = self.tags.get("source_level")
        made = f"{self.level} (from {source}, by our own correction)" if source else self.level
        return f"Level {made}: the model was validated on {card_level}, not on this."


@contextmanager
def open_source(request: DetectRequest | PrepareRequest, bands: Sequence[str]) -> Iterator[Source]:
    """Open what a request names as reflectance of `bands`, Rayleigh-corrected where it is of level L1C.

    Raises:
        EngineError: it cannot be opened, is of another level than asked for, or has not the bands.
    """
    given = _product_paths(request)
    options = {
        "scale": request.scale, "offset": request.offset, "extent": request.extent, "extent_crs": request.extent_crs,
    }  # fmt: skip
    if given is None:
        mapping = parse_mapping(request.bands) if request.bands else None
        path = request.input or ""
        crs = named_crs("crs", request.crs, path)
        with open_scene(path, bands, mapping=mapping, crs=crs, **options) as scene:  # type: ignore[arg-type]
            yield Source(scene, None, path, _raster_tags(scene, request.level))
        return
    if request.bands:
        raise RequestError("BANDS numbers the bands of a raster; a product's bands have names. Leave BANDS empty.")
    if request.crs:
        log.warning("%s tells its own CRS, which is taken.", given[0])
    product = _at_level(open_product(given[0] if len(given) == 1 else given), request)
    text = product.as_vrt(bands)
    with open_scene(text, bands, name=product.product_id, **options) as scene:  # type: ignore[arg-type]
        told = [f"{key.replace('_', ' ')} {value}" for key, value in product.tags.items() if key != "product_id"]
        log.info("Product %s: %s.", product.product_id, ", ".join(told))
        yield Source(scene, product, given[0], dict(product.tags))


def _product_paths(request: DetectRequest | PrepareRequest) -> tuple[str, ...] | None:
    """The product that was named; a raster that is none but a folder, zip or metadata file is a product too."""
    if request.product:
        return request.product
    return (request.input,) if request.input and is_product(request.input) else None


def _at_level(product: Product, request: DetectRequest | PrepareRequest) -> Product:
    level = product.checked_level(request.level)
    scaled = any(source.scale is not None for source in product.bands.values())
    if scaled and (request.scale is not None or request.offset is not None):
        raise RequestError(f"{product.product_id} tells its own scale and offset: leave SCALE and OFFSET empty.")
    product = dataclasses.replace(product, level=level)
    return corrected_product(product) if level == "L1C" else product


def _raster_tags(scene: Scene, asked: str) -> dict[str, str]:
    """What a raster's tags say of its origin, and its level: as asked, else as told."""
    tags = {key: scene.tags[key] for key in KNOWN if scene.tags.get(key)}
    told = tags.pop("level", None)
    told = told if told in LEVELS else None
    if asked != "auto" and told and asked != told:
        raise RequestError(f"{scene.name} is of level {told}, but LEVEL says {asked}: set LEVEL to auto.")
    level = told if asked == "auto" else asked
    if level == "L1C":
        raise RequestError(
            "A raster of level L1C cannot be Rayleigh-corrected: the angles are in the product's metadata. "
            "Give the whole product as PRODUCT."
        )
    return tags | ({"level": level} if level else {})
