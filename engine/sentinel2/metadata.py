"""What a Sentinel-2 product's XML files say: level, baseline, time, scale and offset, angles, and its files.

The fields are those of the Sentinel-2 Products Specification Document (ESA, S2-PDGS-TAS-DI-PSD), versions 12 to 15,
which covers processing baselines 02.xx to 05.xx. Reflectance = (DN + offset) / quantification, with the offset of each
band as listed; where none is listed it is 0. Dates never decide.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree

from engine.bands import BAND_NAMES
from engine.errors import RasterError

__all__ = [
    "LEVELS",
    "Angles",
    "GranuleMetadata",
    "MaskFile",
    "ProductMetadata",
    "granule_metadata",
    "parse_time",
    "parse_xml",
    "product_metadata",
]

log = logging.getLogger(__name__)

LEVELS = ("L1C", "L2A", "Rayleigh-corrected")
# A product's own XML has some 50 kB, a granule's at most 1 MB.
LARGEST_XML = 32 * 1024**2
# From this baseline on every product lists an offset (Sentinel-2 Products Specification Document, version 14.9).
OFFSET_BASELINE = (4, 0)


@dataclass(frozen=True)
class Angles:
    """Mean angles over a granule, in degrees; azimuths clockwise from north, from the ground towards sun and sensor."""

    sun_zenith: float
    sun_azimuth: float
    view_zenith: Mapping[str, float]
    """By band; a band may be missing."""
    view_azimuth: Mapping[str, float]


@dataclass(frozen=True)
class MaskFile:
    """A quality mask that a granule names."""

    kind: str
    """MSK_CLOUDS (polygons, baselines before 04.00), MSK_CLASSI (raster, from 04.00), MSK_CLDPRB (L2A, percent)."""
    path: str
    """As written, from the product's root."""


@dataclass(frozen=True)
class ProductMetadata:
    """What `MTD_MSIL1C.xml` or `MTD_MSIL2A.xml` says."""

    product_id: str
    level: str
    """L1C or L2A."""
    processing_baseline: str
    sensing_time: datetime
    """Start of the datatake, UTC."""
    spacecraft: str | None
    quantification: float
    offsets: Mapping[str, float]
    """In DN, by band; empty where the file lists none."""
    wavelengths: Mapping[str, float]
    """Centre wavelengths in nm by band, of this spacecraft."""
    images: tuple[str, ...]
    """Image files as listed, from the product's root, mostly without ending."""
    granules: tuple[str, ...]
    """Identifiers of the granules."""

    def scaling(self, band: str) -> tuple[float, float]:
        """Scale and offset with reflectance = DN x scale + offset."""
        return 1 / self.quantification, self.offsets.get(band, 0.0) / self.quantification


@dataclass(frozen=True)
class GranuleMetadata:
    """What a granule's `MTD_TL.xml` says."""

    tile: str | None
    """As T36JUN."""
    level: str | None
    processing_baseline: str | None
    sensing_time: datetime | None
    """When this tile was seen, UTC; minutes after the start of the datatake."""
    crs: str | None
    """As EPSG:32630."""
    angles: Angles | None
    masks: tuple[MaskFile, ...]


def parse_xml(data: bytes, source: str) -> ElementTree.Element:
    """The root of an XML text, with the names' namespaces taken off.

    Raises:
        RasterError: the text is no XML, is too long, or declares a document type, which no product does and which is
            the way to entities that fill the memory.
    """
    if len(data) > LARGEST_XML:
        raise RasterError(f"{source} has {len(data) / 1024**2:.0f} MB: that is no Sentinel-2 metadata.")
    parser = ElementTree.XMLParser(target=_WithoutDoctype(source))  # nosec B314
    try:
        parser.feed(data)
        root: ElementTree.Element = parser.close()
    except ElementTree.ParseError as error:
        raise RasterError(f"{source} is no valid XML ({error}): is the product complete?") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


class _WithoutDoctype(ElementTree.TreeBuilder):
    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise RasterError(f"{self._source} declares a document type ({name}), which Sentinel-2 metadata never does.")


def product_metadata(data: bytes, source: str) -> ProductMetadata:
    """Read the text of a product's metadata file.

    Args:
        data: the text.
        source: the file's name, for messages.

    Raises:
        RasterError: it is no Sentinel-2 L1C or L2A product's metadata, or lacks a field that is needed.
    """
    root = parse_xml(data, source)
    level = {"Level-1C_User_Product": "L1C", "Level-2A_User_Product": "L2A"}.get(root.tag)
    if level is None:
        raise RasterError(f"{source} is no metadata of a Sentinel-2 L1C or L2A product: its root is {root.tag}.")
    baseline = _text(root, "PROCESSING_BASELINE", source)
    offsets = _offsets(root, level, source)
    if not offsets and _version(baseline) >= OFFSET_BASELINE:
        log.warning("%s has baseline %s but lists no offset: none is applied.", source, baseline)
    identifier = _text(root, ("PRODUCT_URI_2A", "PRODUCT_URI"), source)
    return ProductMetadata(
        product_id=identifier.removesuffix(".SAFE"),
        level=level,
        processing_baseline=baseline,
        sensing_time=parse_time(_text(root, ("DATATAKE_SENSING_START", "PRODUCT_START_TIME"), source), source),
        spacecraft=_optional(root, "SPACECRAFT_NAME"),
        quantification=_quantification(root, level, source),
        offsets=offsets,
        wavelengths=_wavelengths(root, source),
        images=tuple(_texts(root, ("IMAGE_FILE", "IMAGE_FILE_2A", "IMAGE_ID", "IMAGE_ID_2A"))),
        granules=tuple(_granules(root)),
    )


def granule_metadata(data: bytes, source: str) -> GranuleMetadata:
    """Read the text of a granule's metadata file.

    Raises:
        RasterError: it is no Sentinel-2 granule's metadata.
    """
    root = parse_xml(data, source)
    if root.tag not in ("Level-1C_Tile_ID", "Level-2A_Tile_ID"):
        raise RasterError(f"{source} is no metadata of a Sentinel-2 granule: its root is {root.tag}.")
    identifier = _optional(root, "TILE_ID_2A") or _optional(root, "TILE_ID") or ""
    parts = identifier.split("_")
    time = _optional(root, "SENSING_TIME")
    return GranuleMetadata(
        tile=next((part for part in parts if len(part) == 6 and part[0] == "T" and part[1:3].isdigit()), None),
        level="L1C" if root.tag.startswith("Level-1C") else "L2A",
        processing_baseline=parts[-1][1:] if parts[-1].startswith("N") else None,
        sensing_time=parse_time(time, source) if time else None,
        crs=_optional(root, "HORIZONTAL_CS_CODE"),
        angles=_angles(root, source),
        masks=tuple(
            MaskFile(element.get("type", ""), (element.text or "").strip())
            for element in root.iter("MASK_FILENAME")
            if element.get("type") in ("MSK_CLOUDS", "MSK_CLASSI", "MSK_CLDPRB")
        ),
    )


def parse_time(text: str, source: str) -> datetime:
    """A time of the metadata, which is UTC, as an aware datetime."""
    # Fractions of a second come in any length; Python 3.10 reads three or six digits alone.
    plain = re.sub(r"\.(\d+)", lambda match: f".{match[1]:0<6.6}", text.strip().replace("Z", "+00:00"))
    try:
        time = datetime.fromisoformat(plain)
    except ValueError as error:
        raise RasterError(f"{source} has a time that is none: {text!r}.") from error
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


def band_name(band_id: str | None, source: str) -> str:
    """The band of a `band_id` or `bandId`, which counts from 0 with B8A as number 8."""
    if band_id is None or not band_id.isdigit() or int(band_id) >= len(BAND_NAMES):
        raise RasterError(f"{source} names a band {band_id!r}: Sentinel-2 has 0 to {len(BAND_NAMES) - 1}.")
    return BAND_NAMES[int(band_id)]


def _version(baseline: str) -> tuple[int, ...]:
    return tuple(int(part) for part in baseline.split(".") if part.isdigit())


def _quantification(root: ElementTree.Element, level: str, source: str) -> float:
    names = {
        "L1C": ("QUANTIFICATION_VALUE",),
        # Sen2Cor wrote its own name before version 2.5.
        "L2A": ("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE"),
    }[level]
    value = _number(_text(root, names, source), names[0], source)
    if value <= 0:
        raise RasterError(f"{source} has {names[0]} {value:g}, which cannot be.")
    return value


def _offsets(root: ElementTree.Element, level: str, source: str) -> Mapping[str, float]:
    name = {"L1C": "RADIO_ADD_OFFSET", "L2A": "BOA_ADD_OFFSET"}[level]
    return MappingProxyType(
        {band_name(e.get("band_id"), source): _number(e.text or "", name, source) for e in root.iter(name)}
    )


def _wavelengths(root: ElementTree.Element, source: str) -> Mapping[str, float]:
    found = {}
    for element in root.iter("Spectral_Information"):
        central = element.find("Wavelength/CENTRAL")
        if central is not None:
            found[band_name(element.get("bandId"), source)] = _number(central.text or "", "CENTRAL", source)
    return MappingProxyType(found)


def _granules(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iter():
        if element.tag in ("Granule", "Granules"):
            yield element.get("granuleIdentifier", "")


def _angles(root: ElementTree.Element, source: str) -> Angles | None:
    sun = root.find(".//Mean_Sun_Angle")
    if sun is None:
        return None
    zenith, azimuth = {}, {}
    for element in root.iter("Mean_Viewing_Incidence_Angle"):
        band = band_name(element.get("bandId"), source)
        zenith[band], azimuth[band] = _pair(element, source)
    return Angles(*_pair(sun, source), MappingProxyType(zenith), MappingProxyType(azimuth))


def _pair(element: ElementTree.Element, source: str) -> tuple[float, float]:
    zenith, azimuth = (
        _number(_text(element, name, source), name, source) for name in ("ZENITH_ANGLE", "AZIMUTH_ANGLE")
    )
    return zenith, azimuth


def _texts(root: ElementTree.Element, names: tuple[str, ...]) -> list[str]:
    return [element.text.strip() for element in root.iter() if element.tag in names and element.text]


def _optional(root: ElementTree.Element, name: str) -> str | None:
    return next(iter(_texts(root, (name,))), None)


def _text(root: ElementTree.Element, names: str | tuple[str, ...], source: str) -> str:
    wanted = (names,) if isinstance(names, str) else names
    for name in wanted:
        value = _optional(root, name)
        if value:
            return value
    raise RasterError(f"{source} has no {wanted[0]}: is the product complete?")


def _number(text: Any, name: str, source: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise RasterError(f"{source} has {name} {text!r}, which is no number.") from error
