"""Which file is which, told by its name: bands, scene classification, and pictures that are neither."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from engine.bands import BandLabel, band_from_label
from engine.sentinel2.metadata import parse_time

__all__ = ["RASTER_ENDINGS", "FileName", "is_picture", "read_name"]

RASTER_ENDINGS = (".jp2", ".tif", ".tiff")
"""Of single-band files, lower case."""

_PICTURE = re.compile(
    r"(?<![A-Za-z0-9])(TCI|PVI|visual|preview|true[_ -]?colou?r|false[_ -]?colou?r|RGB|thumbnail|overview)(?![A-Za-z])",
    re.I,
)
_CLASSES = re.compile(r"(?<![A-Za-z0-9])SCL(?![A-Za-z0-9])", re.I)
_OTHER = re.compile(
    r"(?<![A-Za-z0-9])(AOT|WVP|MSK|CLD|SNW|CLDPRB|SNWPRB|DETFOO|QUALIT|CLASSI|dataMask)(?![A-Za-z0-9])", re.I
)
_RESOLUTION = re.compile(r"(?<![A-Za-z0-9])(10|20|60)m(?![A-Za-z0-9])")
_TILE = re.compile(r"(?<![A-Za-z0-9])T(\d{2}[A-Z]{3})(?![A-Za-z0-9])")
_TIME = re.compile(r"(?<!\d)(\d{8}T\d{6})(?!\d)")
_LEVEL = re.compile(r"(?<![A-Za-z0-9])(?:S2)?(?:MSI)?(L1C|L2A)(?![A-Za-z0-9])", re.I)


@dataclass(frozen=True)
class FileName:
    """What a raster file's name says."""

    name: str
    role: str
    """band, classes (the scene classification), picture, or other."""
    band: str | None
    resolution: int | None
    """In m, where the name has it."""
    tile: str | None
    """As T36JUN."""
    sensing_time: datetime | None
    level: str | None

    @property
    def scene(self) -> str:
        """The name without what tells band and resolution: the same for all files of a scene."""
        return _scene(PurePosixPath(self.name).stem)


def read_name(name: str) -> FileName:
    """Read a file's name, with or without folders and ending.

    Known are `B08`, `T36JUN_20190424T073619_B08_10m.jp2`, `2018-10-31…_Sentinel-2_L2A_B8A_(Raw).tiff`, `rhorc_833`,
    `S2A_MSI_2018_10_31_rhorc_833.tif`, the STAC common names, `…_SCL_20m`, and pictures as `…_TCI_10m`.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    stem = path.stem if path.suffix.lower() in (*RASTER_ENDINGS, ".gml", ".xml", ".json") else path.name
    role, band = _role(stem)
    resolution, tile, time, level = (
        found(stem) for found in (_RESOLUTION.search, _TILE.search, _TIME.search, _LEVEL.search)
    )
    return FileName(
        name=path.name,
        role=role,
        band=band,
        resolution=int(resolution[1]) if resolution else None,
        tile=f"T{tile[1]}" if tile else None,
        sensing_time=_time(time[1]) if time else None,
        level="Rayleigh-corrected" if "rhorc" in stem.lower() else level[1].upper() if level else None,
    )


def is_picture(name: str) -> bool:
    """Whether a name says that the file is a picture made for viewing."""
    return read_name(name).role == "picture"


def _role(stem: str) -> tuple[str, str | None]:
    words = _words(stem)
    if _CLASSES.search(words):
        return "classes", None
    if _PICTURE.search(words):
        return "picture", None
    if _OTHER.search(words):
        return "other", None
    band = band_from_label(BandLabel(words)) or band_from_label(BandLabel(_last_label(stem)))
    return ("band", band) if band else ("other", None)


def _words(stem: str) -> str:
    # An underscore joins a name's parts; for telling where a word ends it is a blank.
    return re.sub(r"[_()\[\]]+", " ", stem).strip()


def _last_label(stem: str) -> str:
    """The end of a name that tells a band by wavelength or common name: `rhorc_833`, `nir08`, `nm842`."""
    match = re.search(r"(rho[a-z]*_\d{3,4}|nm\d{3,4}|[a-z]+\d*)(?:_(?:10|20|60)m)?$", stem, re.I)
    return match[1] if match else stem


def _scene(stem: str) -> str:
    words = re.sub(
        r"_?(\(Raw\)|rho[a-z]*_\d{3,4}|SCL|B(?:AND)?_?(?:0?[1-9]|1[0-2]|0?8A))(?![0-9A-Za-z])", "", stem, flags=re.I
    )
    return re.sub(r"_(10|20|60)m$", "", words).strip("_ ")


def _time(text: str) -> datetime:
    return parse_time(f"{text[:4]}-{text[4:6]}-{text[6:11]}:{text[11:13]}:{text[13:]}", text)
