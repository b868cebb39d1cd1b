"""Sentinel-2 bands: which band of a raster is which, told by name and never guessed from its place alone."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.errors import BandError

__all__ = ["BAND_NAMES", "MARIDA_ORDER", "BandLabel", "band_from_label", "match_bands", "parse_mapping"]

log = logging.getLogger(__name__)

BAND_NAMES = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
MARIDA_ORDER = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
L2A_ORDER = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12")
L1C_ORDER = BAND_NAMES

ORDER_BY_COUNT = {
    11: ("MARIDA", MARIDA_ORDER),
    12: ("Sentinel-2 L2A", L2A_ORDER),
    13: ("Sentinel-2 L1C", L1C_ORDER),
}

# Lowest and highest centre wavelength in nm that is taken for the band: Sentinel-2A, B and C differ by some nm (ESA's
# spectral response functions, COPE-GSEG-EOPG-TN-15-0007), and MARIDA rounds (440, 1600, 2200). B8 and B8A may not meet.
WAVELENGTHS = {
    "B1": (435, 450),
    "B2": (480, 500),
    "B3": (550, 570),
    "B4": (655, 675),
    "B5": (698, 710),
    "B6": (733, 746),
    "B7": (775, 790),
    "B8": (825, 848),
    "B8A": (858, 872),
    "B9": (930, 955),
    "B10": (1360, 1390),
    "B11": (1590, 1630),
    "B12": (2170, 2220),
}

# The names of the STAC electro-optical extension, and of Earth Search, that stand for one Sentinel-2 band each.
COMMON_NAMES = {
    "coastal": "B1",
    "blue": "B2",
    "green": "B3",
    "red": "B4",
    "rededge1": "B5",
    "rededge071": "B5",
    "rededge2": "B6",
    "rededge075": "B6",
    "rededge3": "B7",
    "rededge078": "B7",
    "nir": "B8",
    "nir08": "B8A",
    "nir09": "B9",
    "cirrus": "B10",
    "swir16": "B11",
    "swir22": "B12",
}

_NAME = re.compile(r"(?<![A-Za-z0-9])B(?:AND)?[ _-]?(0?[1-9]|1[0-2]|0?8A)(?![0-9A-Za-z])", re.IGNORECASE)
_COUNTING = re.compile(r"band[ _-]?(\d+)", re.IGNORECASE)
_WAVELENGTH = re.compile(r"(?:nm|rho[a-z]*|rrs|band)?[ _-]?(\d{3,4}(?:\.\d+)?)(?: ?nm)?", re.IGNORECASE)


@dataclass(frozen=True)
class BandLabel:
    """What a raster says about one of its bands."""

    description: str = ""
    wavelength_nm: float | None = None


def band_from_label(label: BandLabel) -> str | None:
    """The Sentinel-2 name of a band, or None where its label does not tell.

    Known are B8A, B08, B8, Band 8, the first of these inside a longer name (T36JUN_20190424T073619_B08_10m), nm842,
    rhorc_833, 842 nm, and the STAC common names; else the wavelength of the band's own tags.
    """
    text = label.description.strip()
    names: set[str] = {match.upper().lstrip("0") for match in _NAME.findall(text)}
    if len(names) == 1:
        return "B" + names.pop()
    if text.lower() in COMMON_NAMES:
        return COMMON_NAMES[text.lower()]
    match = _WAVELENGTH.fullmatch(text)
    if match and not text.isdigit():
        return _band_at(float(match.group(1)))
    return _band_at(label.wavelength_nm) if label.wavelength_nm is not None else None


def _band_at(wavelength_nm: float) -> str | None:
    return next((name for name, (low, high) in WAVELENGTHS.items() if low <= wavelength_nm <= high), None)


def parse_mapping(text: str) -> dict[str, int]:
    """Band numbers (from 1) by name, from a text like `B1=1,B2=2,B8A=9`.

    Raises:
        BandError: a name that Sentinel-2 does not have, a number that is none, or a band named twice.
    """
    mapping: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in re.split(r"[,;\s]+", text))):
        name, _, number = part.partition("=")
        band = band_from_label(BandLabel(name))
        if band is None or not number.strip().isdigit() or int(number) < 1:
            raise BandError(f"BANDS has {part!r}: write a Sentinel-2 band and a band number from 1, as in B8A=9.")
        if band in mapping:
            raise BandError(f"BANDS names {band} twice.")
        mapping[band] = int(number)
    if not mapping:
        raise BandError("BANDS is empty: write it as B1=1,B2=2,… or leave it out.")
    return mapping


def match_bands(
    needed: Sequence[str], labels: Sequence[BandLabel], explicit: Mapping[str, int] | None = None
) -> tuple[int, ...]:
    """Band numbers (from 1) of the bands `needed`, in that order.

    An explicit mapping decides where one is given; else the bands' labels do. A raster with no label at all is taken in
    the order of MARIDA (11 bands), L2A (12) or L1C (13), and the log says so.

    Raises:
        BandError: a band is missing or claimed twice; the message lists what was found and what to set.
    """
    found = _explicit(explicit, len(labels)) if explicit else _by_label(_without_counting(labels))
    missing = [name for name in needed if name not in found]
    if missing:
        listed = ", ".join(f"{n}: {label.description or 'unnamed'}" for n, label in enumerate(labels, 1))
        raise BandError(
            f"The model needs {', '.join(missing)}, which cannot be told among the raster's {len(labels)} band(s) "
            f"({listed}). Name the bands, or set BANDS, as in {_example(needed)}."
        )
    return tuple(found[name] for name in needed)


def _example(needed: Sequence[str]) -> str:
    return ",".join(f"{name}={number}" for number, name in enumerate(needed, 1))


def _without_counting(labels: Sequence[BandLabel]) -> Sequence[BandLabel]:
    """`labels`, emptied where they only count: "Band 1", "Band 2", … say where a band stands, not which it is."""
    counting = all(
        (match := _COUNTING.fullmatch(label.description.strip())) and int(match.group(1)) == number
        for number, label in enumerate(labels, 1)
    )
    return [BandLabel(wavelength_nm=label.wavelength_nm) for label in labels] if counting else labels


def _explicit(mapping: Mapping[str, int], count: int) -> dict[str, int]:
    beyond = [f"{name}={number}" for name, number in mapping.items() if not 1 <= number <= count]
    if beyond:
        raise BandError(f"BANDS has {', '.join(beyond)}, but the raster has {count} band(s).")
    return dict(mapping)


def _by_label(labels: Sequence[BandLabel]) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, label in enumerate(labels, 1):
        name = band_from_label(label)
        if name is None:
            continue
        if name in found:
            raise BandError(
                f"Band {found[name]} ({labels[found[name] - 1].description}) and band {number} ({label.description}) "
                f"both look like {name}. Set BANDS to say which one is meant."
            )
        found[name] = number
    if not found and len(labels) in ORDER_BY_COUNT:
        kind, order = ORDER_BY_COUNT[len(labels)]
        log.warning("The bands have no names; %d bands are taken in %s order (%s).", len(labels), kind, " ".join(order))
        return {name: number for number, name in enumerate(order, 1)}
    return found
