"""How much of a scene a mask calls what: pixels and areas by value."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from engine.ground import Ground
from engine.sentinel2.masks import CLOUD, LAND, NO_DATA

__all__ = ["CLEAR", "DEBRIS", "FLOATING", "NOT_OBSERVED", "OBSERVED", "Tally"]

CLEAR, DEBRIS, FLOATING = 0, 1, 2
OBSERVED = (CLEAR, DEBRIS, FLOATING)
NOT_OBSERVED = (LAND, CLOUD, NO_DATA)
VALUES = (*OBSERVED, *NOT_OBSERVED)


@dataclass
class Tally:
    """What the rows so far hold: pixels and, where the ground is known, areas."""

    ground: Ground | None
    pixels: dict[int, int] = field(default_factory=lambda: dict.fromkeys(VALUES, 0))
    area: dict[int, float] = field(default_factory=lambda: dict.fromkeys(VALUES, 0.0))

    def add(self, row: int, mask: npt.NDArray[np.uint8]) -> None:
        """Count the rows of a mask from row `row` on."""
        for value in self.pixels:
            by_row = (mask == value).sum(axis=1)
            self.pixels[value] += int(by_row.sum())
            if self.ground:
                self.area[value] += float(by_row @ self.ground.row_area_m2[row : row + len(mask)])

    def move(self, value: int, to: int, pixels: int, area: float) -> None:
        """Count pixels under another value."""
        self.pixels[value] -= pixels
        self.pixels[to] += pixels
        if self.ground:
            self.area[value] -= area
            self.area[to] += area

    def area_of(self, *values: int) -> float | None:
        """Area in m² of some values together; None where the ground is not known."""
        return sum(self.area[value] for value in values) if self.ground else None

    @property
    def observed(self) -> int:
        """Pixels that were looked at."""
        return sum(self.pixels[value] for value in OBSERVED)
