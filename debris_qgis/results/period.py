"""When a scene was taken, in UTC: from the tags of a result, else from the names of the files it was made of."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Iterable, Mapping, Optional

TAGS = ("sensing_time", "acquisition_time", "acquisitiondatetime", "datetime", "isodate", "tifftag_datetime")
"""Tags that may hold the time, the surest first; compared without regard to case."""

# Names are looked through from the surest to the least sure form. MARIDA writes day-month-year.
_COMPACT = re.compile(r"(?<!\d)(20[1-4]\d)(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(?!\d)")
_ISO = re.compile(r"(?<!\d)(20[1-4]\d)-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d):(\d\d))?")
_TIFF = re.compile(r"^(20[1-4]\d):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)$")
_ACOLITE = re.compile(r"(?<!\d)(20[1-4]\d)_(\d\d)_(\d\d)(?:_(\d\d)_(\d\d)_(\d\d))?(?!\d)")
_MARIDA = re.compile(r"(?<![A-Za-z0-9])S2_(\d{1,2})-(\d{1,2})-(\d\d)_")
_PLAIN = re.compile(r"(?<!\d)(20[1-4]\d)(\d\d)(\d\d)(?!\d)")


@dataclass(frozen=True)
class Period:
    """A time, or the whole day where only the date is known; aware, UTC."""

    begin: datetime
    end: datetime

    @property
    def exact(self) -> bool:
        """Whether the time of day is known."""
        return self.begin == self.end

    def __str__(self) -> str:
        if self.exact:
            return self.begin.strftime("%Y-%m-%d %H:%M UTC")
        return self.begin.strftime("%Y-%m-%d (UTC; the time of day is not known)")


def iso(time: datetime) -> str:
    """A time as 2018-10-31T10:20:19Z."""
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def period_of(tags: Mapping[str, str], names: Iterable[str]) -> Optional[Period]:
    """When the scene was taken.

    Args:
        tags: of the result's raster.
        names: names of the scene and of its files, the surest first.

    Returns:
        None where nothing tells; nothing is guessed from the age of a file.
    """
    lower = {name.lower(): value for name, value in tags.items()}
    for tag in TAGS:
        found = parse(str(lower.get(tag, "")))
        if found:
            return found
    for name in names:
        found = parse(name)
        if found:
            return found
    return None


def parse(text: str) -> Optional[Period]:
    """The time in a tag or a name, or None."""
    text = text.strip()
    for pattern in (_COMPACT, _TIFF, _ISO, _ACOLITE):
        match = pattern.search(text)
        if match:
            return _period(*match.groups())
    match = _MARIDA.search(text)
    if match:
        day, month, year = match.groups()
        return _period(f"20{year}", month, day)
    match = _PLAIN.search(text)
    return _period(*match.groups()) if match else None


def _period(year, month, day, *time) -> Optional[Period]:
    known = bool(time) and time[0] is not None
    try:
        begin = datetime(int(year), int(month), int(day), *(int(t) for t in time if known), tzinfo=timezone.utc)
    except ValueError:
        return None
    return Period(begin, begin) if known else Period(begin, begin + timedelta(days=1) - timedelta(seconds=1))
