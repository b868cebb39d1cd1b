"""Sentinel-2 products as STAC items: Earth Search (v0 and v1), Planetary Computer, and what stactools writes.

Offsets are told in this order: a catalogue that says it took the offset off its files (`boa_offset_applied`) is
believed, so that it is not taken off twice (Element84/earth-search issue 66: such items still list -0.1 in
`raster:bands`); then the scale and offset of an asset's `raster:bands`; then the processing baseline; else nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from engine.bands import BAND_NAMES, BandLabel, band_from_label
from engine.errors import RasterError
from engine.sentinel2.metadata import Angles, parse_time
from engine.sentinel2.naming import read_name

__all__ = ["Asset", "StacItem", "stac_item"]

log = logging.getLogger(__name__)

DN_SCALE = 1e-4
# ESA's offset from baseline 04.00 on, for catalogues that tell the baseline alone.
BASELINE_OFFSET = -0.1


@dataclass(frozen=True)
class Asset:
    """One image of an item. Reflectance = DN x scale + offset; None where the item does not tell."""

    href: str
    scale: float | None = None
    offset: float | None = None
    resolution: int | None = None


@dataclass(frozen=True)
class StacItem:
    """What a STAC item of Sentinel-2 says."""

    product_id: str
    level: str | None
    processing_baseline: str | None
    sensing_time: datetime | None
    tile: str | None
    angles: Angles | None
    bands: Mapping[str, Asset]
    """The finest image of each band."""
    classes: Asset | None
    """The scene classification."""


def stac_item(data: bytes, source: str) -> StacItem:
    """Read the text of a STAC item.

    Args:
        data: the text, JSON.
        source: the file's name, for messages.

    Raises:
        RasterError: it is no JSON, no STAC item, or has no Sentinel-2 band.
    """
    item = _load(data, source)
    properties = _mapping(item, "properties")
    identifier = str(
        properties.get("s2:product_uri") or properties.get("sentinel:product_id") or item.get("id") or source
    ).removesuffix(".SAFE")
    baseline = (
        properties.get("s2:processing_baseline")
        or properties.get("sentinel:processing_baseline")
        or _baseline(identifier)
    )
    applied = any(properties.get(f"{name}:boa_offset_applied") is True for name in ("earthsearch", "sentinel"))
    offset = 0.0 if applied else None if baseline is None else BASELINE_OFFSET if _is_04(str(baseline)) else 0.0
    bands: dict[str, Asset] = {}
    classes: Asset | None = None
    for key, raw in _mapping(item, "assets").items():
        band, asset = _band(key, raw), _asset(raw, offset, applied)
        if read_name(key).role == "classes" or key.lower() in ("scl", "scl_20m"):
            classes = classes or asset
        elif band and (band not in bands or (asset.resolution or 60) < (bands[band].resolution or 60)):
            bands[band] = asset
    if not bands:
        raise RasterError(f"{source} is a STAC item without any Sentinel-2 band.")
    time = properties.get("datetime")
    return StacItem(
        product_id=identifier,
        level=_level(identifier, properties),
        processing_baseline=str(baseline) if baseline else None,
        sensing_time=parse_time(str(time), source) if time else None,
        tile=read_name(identifier).tile or _tile(properties),
        angles=_angles(properties),
        bands=MappingProxyType(bands),
        classes=classes,
    )


def _load(data: bytes, source: str) -> dict[str, Any]:
    try:
        item = json.loads(data)
    except ValueError as error:
        raise RasterError(f"{source} is no valid JSON: {error}.") from error
    if not isinstance(item, dict) or item.get("type") != "Feature" or not isinstance(item.get("assets"), dict):
        kind = item.get("type") if isinstance(item, dict) else type(item).__name__
        raise RasterError(f"{source} is no STAC item ({kind}): choose the item of one product.")
    return item


def _mapping(item: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = item.get(key)
    return value if isinstance(value, dict) else {}


def _band(key: str, raw: Any) -> str | None:
    """The band of an asset, by `eo:bands` or by its key; None for pictures, masks and metadata."""
    if not isinstance(raw, dict) or read_name(key).role in ("picture", "other", "classes") and not raw.get("eo:bands"):
        return None
    named = [str(band.get("name", "")) for band in raw.get("eo:bands") or [] if isinstance(band, dict)]
    if len(named) > 1 or "visual" in (raw.get("roles") or []):
        return None
    return band_from_label(BandLabel(named[0])) if named else band_from_label(BandLabel(key))


def _asset(raw: Any, offset: float | None, applied: bool) -> Asset:
    entry = raw if isinstance(raw, dict) else {}
    listed = next((band for band in entry.get("raster:bands") or [] if isinstance(band, dict)), {})
    scale = listed.get("scale")
    if scale is not None and not applied:
        offset = float(listed.get("offset") or 0.0)
    resolution = listed.get("spatial_resolution") or entry.get("gsd") or _grid_step(entry)
    return Asset(
        href=str(entry.get("href", "")),
        scale=float(scale) if scale is not None else DN_SCALE if offset is not None else None,
        offset=offset,
        resolution=int(resolution) if resolution else None,
    )


def _grid_step(entry: Mapping[str, Any]) -> float | None:
    transform = entry.get("proj:transform")
    return abs(float(transform[0])) if isinstance(transform, list) and transform else None


def _is_04(baseline: str) -> bool:
    return baseline.split(".")[0].isdigit() and int(baseline.split(".")[0]) >= 4


def _baseline(identifier: str) -> str | None:
    """The baseline in a product's name, as N0214."""
    part = next((p for p in identifier.split("_") if len(p) == 5 and p[0] == "N" and p[1:].isdigit()), None)
    return f"{part[1:3]}.{part[3:]}" if part and part != "N9999" else None


def _level(identifier: str, properties: Mapping[str, Any]) -> str | None:
    kind = f"{properties.get('s2:product_type', '')} {identifier}"
    return next((level for level in ("L1C", "L2A") if f"MSI{level[1:]}" in kind or level in kind), None)


def _tile(properties: Mapping[str, Any]) -> str | None:
    code = str(properties.get("grid:code") or properties.get("s2:mgrs_tile") or "")
    code = code.removeprefix("MGRS-")
    return f"T{code.zfill(5)}" if code else None


def _angles(properties: Mapping[str, Any]) -> Angles | None:
    """Angles in degrees; the view's are one pair for all bands."""
    elevation = properties.get("view:sun_elevation")
    zenith = 90 - float(elevation) if elevation is not None else properties.get("s2:mean_solar_zenith")
    azimuth = properties.get("view:sun_azimuth", properties.get("s2:mean_solar_azimuth"))
    if zenith is None or azimuth is None:
        return None
    view = {
        name: MappingProxyType({band: float(properties[key]) for band in BAND_NAMES} if key in properties else {})
        for name, key in (("view_zenith", "view:incidence_angle"), ("view_azimuth", "view:azimuth"))
    }
    return Angles(float(zenith), float(azimuth), **view)


def local_name(href: str) -> str:
    """The file name at the end of an asset's address."""
    return PurePosixPath(href.split("?")[0]).name
