"""A product as the engine knows it, whatever it was made of: its bands, where they are, how they become reflectance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import MappingProxyType

from engine.bands import BAND_NAMES
from engine.errors import BandError, RequestError
from engine.sentinel2.metadata import LEVELS, Angles
from engine.sentinel2.vrt import Layer, SourceGrid, source_grid, vrt_text

__all__ = ["CLASSI_BANDS", "BandSource", "CloudMask", "Product"]

CLASSI_BANDS = ("opaque cloud", "cirrus", "snow")
"""Bands of MSK_CLASSI, 1 where it is (Sentinel-2 Products Specification Document, version 14.9)."""


@dataclass(frozen=True)
class BandSource:
    """Where one band is, and how its stored numbers become reflectance.

    Reflectance = stored x scale + offset. Both are None where neither product nor file tells; the raster's reader then
    decides, or asks for SCALE and OFFSET.
    """

    path: str
    """A name that GDAL opens."""
    number: int = 1
    scale: float | None = None
    offset: float | None = None
    resolution: float | None = None
    """A pixel's width in m, where it is known."""
    nodata: float | None = 0.0


@dataclass(frozen=True)
class CloudMask:
    """A cloud mask that the product carries."""

    kind: str
    """MSK_CLASSI (60 m raster: CLASSI_BANDS), MSK_CLDPRB (raster, percent), MSK_CLOUDS (polygons, GML)."""
    path: str
    """A name that GDAL opens."""


@dataclass(frozen=True)
class Product:
    """One granule of a Sentinel-2 product, or single-band files that belong together."""

    product_id: str
    level: str | None
    """L1C, L2A, Rayleigh-corrected, or None where nothing tells."""
    processing_baseline: str | None
    sensing_time: datetime | None
    """UTC."""
    tile: str | None
    """As T36JUN."""
    bands: Mapping[str, BandSource]
    """By name, B1 to B12, in that order."""
    scene_classification: BandSource | None = None
    cloud_masks: tuple[CloudMask, ...] = ()
    angles: Angles | None = None
    wavelengths: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Centre wavelengths in nm, where the metadata has them."""
    missing: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Bands that the metadata lists without the file being there, with the file's name."""
    source_level: str | None = None
    """The level of the files, where `level` is another because bands are corrected while they are read."""

    def __post_init__(self) -> None:
        ordered = {name: self.bands[name] for name in BAND_NAMES if name in self.bands}
        object.__setattr__(self, "bands", MappingProxyType(ordered))

    @property
    def tags(self) -> dict[str, str]:
        """What results should say of where they come from, as text."""
        time = self.sensing_time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if self.sensing_time else None
        known = {
            "product_id": self.product_id,
            "level": self.level,
            "source_level": self.source_level,
            "processing_baseline": self.processing_baseline,
            "sensing_time": time,
            "tile": self.tile,
        }
        return {key: value for key, value in known.items() if value}

    def checked_level(self, asked: str = "auto") -> str | None:
        """The product's level, which must be the one that was asked for.

        Args:
            asked: auto, L1C, L2A or Rayleigh-corrected. Anything but auto also settles a level that nothing tells.

        Raises:
            RequestError: the product is of another level, or there is no such level.
        """
        if asked not in ("auto", *LEVELS):
            raise RequestError(f"level is {asked!r}: use one of auto, {', '.join(LEVELS)}.")
        if asked != "auto" and self.level is not None and asked != self.level:
            raise RequestError(
                f"{self.product_id} is a product of level {self.level}, but LEVEL says {asked}: set LEVEL to auto."
            )
        return self.level if asked == "auto" else asked

    def require(self, bands: Iterable[str]) -> None:
        """Make sure that the product has all of `bands`.

        Raises:
            BandError: some are missing; the message names the files that should hold them.
        """
        absent = [name for name in bands if name not in self.bands]
        if absent:
            named = [f"{name} ({self.missing[name]})" if name in self.missing else name for name in absent]
            raise BandError(
                f"{self.product_id} lacks {', '.join(named)}. It has {', '.join(self.bands) or 'no band'}. "
                "Complete the product, or download it again."
            )

    def as_vrt(self, bands: Sequence[str] | None = None) -> str:
        """The product as a raster: the text of a GDAL virtual raster that `rasterio.open` takes as it stands.

        The raster has the grid of the finest band (10 m for a whole product), coarser bands by nearest neighbour, each
        band's name as its description, scale and offset where known, 0 as no data, and `tags` as its metadata.

        Args:
            bands: names in the order wanted; all bands of the product where None.

        Raises:
            BandError: a band is missing.
            RasterError: a file cannot be opened, or the files are not of one scene.
        """
        wanted = tuple(bands) if bands is not None else tuple(self.bands)
        self.require(wanted)
        return vrt_text([_layer(name, self.bands[name]) for name in wanted], self.tags, self._target())

    def scene_classification_vrt(self) -> str | None:
        """The scene classification (band SCL) on the grid of `as_vrt`, or None where there is none."""
        if self.scene_classification is None:
            return None
        return vrt_text([_layer("SCL", self.scene_classification)], self.tags, self._target())

    def cloud_mask_vrt(self) -> str | None:
        """MSK_CLASSI (three bands, see CLASSI_BANDS) on the grid of `as_vrt`, or None where there is none."""
        mask = next((mask for mask in self.cloud_masks if mask.kind == "MSK_CLASSI"), None)
        if mask is None:
            return None
        layers = [
            _layer(name, BandSource(mask.path, number, nodata=None)) for number, name in enumerate(CLASSI_BANDS, 1)
        ]
        return vrt_text(layers, self.tags, self._target())

    def _target(self) -> SourceGrid:
        """The finest grid of all bands, so that every raster of the product has the same, whichever bands it holds."""
        known = [source for source in self.bands.values() if source.resolution is not None]
        if len(known) == len(self.bands):
            return source_grid(min(known, key=lambda source: source.resolution or 0).path)
        return min((source_grid(source.path) for source in self.bands.values()), key=lambda grid: grid.step)


def _layer(name: str, source: BandSource) -> Layer:
    return Layer(
        name, source.path, source.number, source_grid(source.path), source.scale, source.offset, source.nodata, {}
    )
