"""What the instrument does to small things on water: none has an edge sharper than a pixel, and what moves is elsewhere
in every band.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from engine.practice.canvas import INFRARED, Patch

__all__ = ["DELAY", "LEAST_SEEN", "PIXEL_METRES", "blur_of", "soften", "spread_light"]

PIXEL_METRES = 10
DELAY = np.array([2.314, 0, 0.527, 1.005, 1.269, 1.525, 1.79, 0.264, 2.055, 1.468, 2.085], dtype=np.float32)
"""Seconds after B2 at which a band sees a place, in MARIDA's order (Sentinel-2 user handbook; measured anew by Binet et
al. 2022, doi 10.5194/isprs-annals-V-1-2022-57-2022). What sails has moved on by then: it has coloured ends."""
BLUR = (0.4, 0.7)
"""Deviation of the point spread in pixels of 10 m, about: a Gaussian of 0.5 and the pixel itself let a fifth of a
contrast through at Nyquist's frequency, as the instrument does; resampling adds a little."""
MARGIN, LEAST, MOST_GAIN = 2, 0.03, 3.0
LEAST_SEEN = 0.0006
"""Excess in B8 from which on light that was spread makes a mixture of water."""


def blur_of(rng: np.random.Generator) -> float:
    """A point spread's deviation, in pixels."""
    return float(rng.uniform(*BLUR))


def spread_light(excess: npt.NDArray[np.float32], blur: float) -> npt.NDArray[np.float32]:
    """Excess (bands, height, width) over water as the optics show it."""
    return np.asarray(ndimage.gaussian_filter(excess, (0, blur, blur), truncate=3), dtype=np.float32)


def soften(rng: np.random.Generator, patch: Patch) -> Patch:
    """A patch of excess over water as the optics show it: neighbours share their light, and labelled pixels stay as
    bright as they were on average, since their spectra are those of pixels that were seen so."""
    wide = [(MARGIN, MARGIN)] * 2
    cover, classes = np.pad(patch.fraction, wide), np.pad(patch.classes, wide)
    excess = np.pad(patch.spectra, [*wide, (0, 0)]) * cover[..., None]
    blur = blur_of(rng)
    soft = np.moveaxis(spread_light(np.moveaxis(excess, -1, 0), blur), 0, -1)
    own = classes > 0
    before, after = float(excess[own, INFRARED].sum()), float(soft[own, INFRARED].sum())
    gain = np.clip(before / after, 1, MOST_GAIN) if own.any() and after > 0 else 1.0
    soft = (soft * gain).astype(np.float32)
    seen = (cover > 0) | (np.abs(soft[..., INFRARED]) > LEAST * np.abs(soft[..., INFRARED]).max())
    return Patch(
        patch.row - MARGIN, patch.col - MARGIN, seen.astype(np.float32), soft, classes, excess=True,
        measured=patch.measured,
    )  # fmt: skip
