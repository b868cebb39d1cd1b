"""Numbers that rasters fill with and do not say so: what no reflectance can be is no data."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.reflectance import HIGHEST, LOWEST, Scaling

__all__ = ["Fills"]

log = logging.getLogger(__name__)


class Fills:
    """Tells a scene's fills by their reflectance; the first is said in the log, and no other."""

    def __init__(self, name: str) -> None:
        """Take the scene's name, for the log."""
        self.name = name
        self._said = False
        # Tiles are read ahead in a thread.
        self._lock = threading.Lock()

    def without(
        self, seen: npt.NDArray[np.bool_], stored: npt.NDArray[Any], scaling: Scaling, bands: Sequence[str]
    ) -> npt.NDArray[np.bool_]:
        """What is left of the observed pixels, (height, width), without those where a band holds a fill.

        Args:
            seen: what else is observed, (height, width).
            stored: numbers as they are stored, (bands, height, width).
            scaling: what makes reflectance of them.
            bands: their names.
        """
        left = seen.copy()
        for name, band, scale, offset in zip(bands, stored, scaling.scale, scaling.offset, strict=True):
            low, high = _limits(stored.dtype, float(scale), float(offset))
            # By the stored numbers: their reflectance may be more than a float32 holds.
            fill = seen & ((band < low) | (band > high))
            if fill.any():
                self._say(name, band[fill][0])
                left &= ~fill
        return left

    def _say(self, band: str, number: Any) -> None:
        with self._lock:
            if self._said:
                return
            self._said = True
        log.warning(
            "%s holds numbers that cannot be reflectance (below %g or above %g), first %.7g in %s: such pixels are "
            "taken as no data. If that is wrong, set the raster's no-data value, or SCALE and OFFSET.",
            self.name, LOWEST, HIGHEST, number, band,
        )  # fmt: skip


def _limits(dtype: np.dtype[Any], scale: float, offset: float) -> tuple[Any, Any]:
    """The lowest and the highest stored number that is reflectance, of `dtype`: no band is converted to compare it."""
    ends = sorted((limit - offset) / scale for limit in (LOWEST, HIGHEST)) if scale else [-math.inf, math.inf]
    if np.issubdtype(dtype, np.integer):
        kind = np.iinfo(dtype)
        low, high = (min(max(end, kind.min), kind.max) for end in ends)
        return dtype.type(math.ceil(low)), dtype.type(math.floor(high))
    with np.errstate(over="ignore"):
        return dtype.type(ends[0]), dtype.type(ends[1])
