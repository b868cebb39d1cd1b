"""From stored numbers to reflectance: what the file says, else what its numbers can only mean, else an error."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import ReflectanceError

__all__ = ["HIGHEST", "LOWEST", "Scaling", "check_plausible", "choose_scaling"]

log = logging.getLogger(__name__)

DN_SCALE = 1e-4
# Clouds and snow reach reflectances somewhat above 1. Where half of all numbers lie above it, they are no reflectance.
HIGHEST_MEDIAN = 1.5
# No pixel lies beyond: atmospheric corrections err by some hundredths below 0, clouds and snow stay below 3. What lies
# above 5 is a fill, or 65535, by which Sentinel-2 marks what its detectors could not measure.
LOWEST, HIGHEST = -0.5, 5.0


@dataclass(frozen=True, eq=False)
class Scaling:
    """Reflectance = stored number x scale + offset, a pair for each band."""

    scale: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]
    source: str

    @classmethod
    def identity(cls, bands: int) -> Scaling:
        """Numbers as they are stored."""
        return cls.of([1.0] * bands, [0.0] * bands, "as stored")

    @classmethod
    def of(cls, scale: Sequence[float], offset: Sequence[float], source: str) -> Scaling:
        """A scaling from plain numbers."""
        return cls(np.asarray(scale, dtype=np.float32), np.asarray(offset, dtype=np.float32), source)

    def apply(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Reflectance, float32, of stored numbers of shape (bands, …)."""
        shape = (-1, *[1] * (stored.ndim - 1))
        return stored.astype(np.float32) * self.scale.reshape(shape) + self.offset.reshape(shape)


def choose_scaling(
    dtype: str,
    scales: Sequence[float],
    offsets: Sequence[float],
    scale: float | None,
    offset: float | None,
    sample: npt.NDArray[Any],
) -> Scaling:
    """The scaling of a raster: as asked, else from the file's tags, else DN / 10000 for integers, else as stored.

    Where only one of scale and offset is asked for, the other comes from the file, as it does without.

    Args:
        dtype: of the stored numbers.
        scales: the file's tags, one a band; 1 where it has none.
        offsets: likewise; 0 where it has none.
        scale: what the user set, or None.
        offset: likewise, in reflectance.
        sample: stored numbers of observed pixels, (bands, pixels); may be empty.

    Raises:
        ReflectanceError: the numbers cannot be reflectance by that scaling; the message says what to set.
    """
    bands = len(scales)
    integer = np.issubdtype(np.dtype(dtype), np.integer)
    tagged = any(value != 1.0 for value in scales) or any(value != 0.0 for value in offsets)
    if scale is not None or offset is not None:
        chosen = _completed(scale, offset, (scales, offsets) if tagged else None, bands, integer)
    elif tagged:
        chosen = Scaling.of(scales, offsets, "from the file's tags")
    elif dtype in ("uint8", "int8"):
        raise ReflectanceError(
            "The raster has 8-bit numbers, which are no reflectance: it looks like a picture made for viewing. "
            "Use the product's own bands, or set SCALE and OFFSET."
        )
    elif integer:
        chosen = Scaling.of([DN_SCALE] * bands, [0.0] * bands, "integers taken as DN / 10000")
        log.warning(
            "The file has no scale and offset; its integers are taken as DN / 10000 with no offset. "
            "For processing baseline 04.00 and later (from January 2022) set OFFSET to -0.1 unless it was removed."
        )
    else:
        chosen = Scaling.of([1.0] * bands, [0.0] * bands, "reflectance as stored")
    check_plausible(chosen, sample)
    log.info("Reflectance: %s (scale %g, offset %g).", chosen.source, chosen.scale[0], chosen.offset[0])
    return chosen


def _completed(
    scale: float | None,
    offset: float | None,
    tags: tuple[Sequence[float], Sequence[float]] | None,
    bands: int,
    integer: bool,
) -> Scaling:
    """What the user set of scale and offset, with the other from the file's tags, or from what its numbers are."""
    own = "set by the user"
    if scale is not None and offset is not None:
        return Scaling.of([scale] * bands, [offset] * bands, own)
    if tags:
        scales, offsets, other = *tags, "from the file's tags"
    else:
        scales, offsets, other = (
            [DN_SCALE if integer else 1.0] * bands,
            [0.0] * bands,
            "the usual, as the file has none",
        )
    if scale is not None:
        return Scaling.of([scale] * bands, offsets, f"scale {own}, offset {other}")
    return Scaling.of(scales, [offset or 0.0] * bands, f"scale {other}, offset {own}")


def check_plausible(scaling: Scaling, sample: npt.NDArray[Any]) -> None:
    """Refuse a scaling by which stored numbers, (bands, pixels), cannot be reflectance.

    Raises:
        ReflectanceError: half of them lie where no reflectance does; the message says what to set.
    """
    if sample.size == 0:
        return
    with np.errstate(over="ignore"):
        stored, median = _middle(scaling, sample)
    if stored is None or LOWEST < median < HIGHEST_MEDIAN:
        return
    raise ReflectanceError(
        f"With scale {scaling.scale[0]:g} and offset {scaling.offset[0]:g} ({scaling.source}) the middle value "
        f"{stored:g} becomes a reflectance of {median:g}, which cannot be. Set SCALE and OFFSET: for Sentinel-2 DN "
        "SCALE is 0.0001, and OFFSET is -0.1 from processing baseline 04.00 on, else 0. If the raster fills with that "
        "number where it has no data, set its no-data value."
    )


def _middle(scaling: Scaling, sample: npt.NDArray[Any]) -> tuple[float | None, float]:
    """The middle of stored numbers, (bands, pixels), and of their reflectance, without fills; None where all are.

    A fill is told by being the same number in all bands, which no spectrum is, so that a raster that is digital numbers
    is not taken for one that fills. Where nothing else is there, only what is negative is a fill.
    """
    reflectance = scaling.apply(sample)
    beyond = ((reflectance < LOWEST) | (reflectance > HIGHEST)).all(axis=0)
    fills = beyond & (sample == sample[0]).all(axis=0)
    if fills.all():
        if (sample < 0).all():
            return None, 0.0
    elif len(sample) > 1:
        sample, reflectance = sample[:, ~fills], reflectance[:, ~fills]
    return float(np.median(sample)), float(np.median(reflectance))
