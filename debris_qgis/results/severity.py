"""How bad it is: the original system's scale, by hot spots and area, which a person may change."""

from dataclasses import dataclass
from typing import Optional, Tuple

from qgis.core import QgsSettings

SETTING = "debris/severity"
NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Level:
    """A level is reached by so many hot spots, or by so much area in m²."""

    name: str
    hot_spots: int
    area_m2: float


DEFAULT = (Level("critical", 8, 100_000.0), Level("high", 5, 50_000.0), Level("moderate", 3, 20_000.0))
"""From the worst down; what reaches none of them is low, and nothing found is none."""


def severity(
    hot_spots: int, area_m2: Optional[float], levels: Tuple[Level, ...] = DEFAULT, observed: bool = True
) -> str:
    """The name of the worst level that is reached; an unknown area counts as none.

    Args:
        hot_spots: how many were found.
        area_m2: of all of them.
        levels: from the worst down.
        observed: whether anything is known to have been looked at; else that nothing was found is no level.
    """
    for level in levels:
        if hot_spots >= level.hot_spots or (area_m2 is not None and area_m2 >= level.area_m2):
            return level.name
    return "low" if hot_spots else "none" if observed else NOT_KNOWN


def stored_levels() -> Tuple[Level, ...]:
    """The levels as the person has set them, else the original system's."""
    text = str(QgsSettings().value(SETTING, "") or "")
    try:
        numbers = [float(part) for part in text.split(",")]
        return (
            tuple(
                Level(level.name, int(hot_spots), area)
                for level, hot_spots, area in zip(DEFAULT, numbers[0::2], numbers[1::2])
            )
            if len(numbers) == 2 * len(DEFAULT)
            else DEFAULT
        )
    except ValueError:
        return DEFAULT


def store_levels(levels: Tuple[Level, ...]) -> None:
    """Keep the levels for this person's next sessions."""
    QgsSettings().setValue(SETTING, ",".join(f"{level.hot_spots},{level.area_m2:g}" for level in levels))
