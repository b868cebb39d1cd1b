"""Waves under the sun: swell and small waves that glint, blurred by the optics, and moving between the bands."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from engine.practice.fields import Field, white
from engine.practice.optics import DELAY, PIXEL_METRES
from engine.tiling import Window

__all__ = ["glint"]

Array = npt.NDArray[np.float32]
# A bright surface under light: glint is as bright in all bands, a little less where water vapour and aerosol take some.
GLINT = np.array([0.5, 1, 1, 1, 1, 1, 1, 1, 1, 0.8, 0.65], dtype=np.float32)
GRAVITY = 9.81
WIDTH, MARGIN = (0.6, 1.4), 6
"""Deviation in pixels of a Gaussian that stands for small waves and the optics: real glint is as strong over three to
nine pixels as within three."""
LASTING = (0.4, 3.0)
"""Seconds after which small waves have become others, about: over a glinting sea B4 and B8, 0.7 s apart, share 0.3 to
0.5 of what varies from pixel to pixel."""


def glint(seed: int, window: Window, rng: np.random.Generator) -> Array:
    """Reflectance (11, height, width) that waves add or take: a pattern of swell, and the grain of smaller waves."""
    angle, length = rng.uniform(0, np.pi), rng.uniform(4, 22)
    swell, grain = np.exp(rng.normal(-8.6, 0.9)), np.exp(rng.normal(-7.9, 1.1))
    rows = (window.row + np.arange(window.height))[:, None]
    cols = (window.col + np.arange(window.width))[None, :]
    bend = Field.fractal((seed, 20), 48, 6, 0.6).at(window)
    phase = 2 * np.pi * (rows * np.sin(angle) + cols * np.cos(angle)) / length + 1.5 * bend
    # Waves of deep water: the longer, the faster.
    pace = rng.choice([-1, 1]) * np.sqrt(2 * np.pi * GRAVITY / (PIXEL_METRES * length))
    long = np.sin(phase[None] - (pace * DELAY)[:, None, None])
    strength = np.exp(0.5 * Field.fractal((seed, 21), 96, 24).at(window))
    small = _small_waves(seed, window, float(rng.uniform(*WIDTH)), float(np.exp(rng.uniform(*np.log(LASTING)))))
    return np.asarray(GLINT[:, None, None] * strength * (swell * long + grain * small), dtype=np.float32)


def _small_waves(seed: int, window: Window, width: float, lasting: float) -> Array:
    """Noise (11, height, width) of deviation 1, the more alike in two bands the less time lies between them."""
    outer = window.wider(MARGIN)
    alike = np.exp(-np.abs(DELAY[:, None] - DELAY[None, :]) / lasting)
    noise = np.stack([white((seed, 22, band), outer) for band in range(len(DELAY))])
    mixed = np.tensordot(np.linalg.cholesky(alike).astype(np.float32), noise, axes=1)
    # A Gaussian leaves 1 / (2 width sqrt(pi)) of white noise's deviation.
    soft = ndimage.gaussian_filter(mixed, (0, width, width), truncate=MARGIN / WIDTH[1] - 0.1)
    inner = slice(MARGIN, -MARGIN)
    return np.asarray(2 * np.sqrt(np.pi) * width * soft[:, inner, inner], dtype=np.float32)
