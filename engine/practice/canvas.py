"""The picture that a practice scene is painted on, and how Sentinel-2 sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.practice.fields import white
from engine.practice.spectra import LOWEST
from engine.tiling import Window

__all__ = ["CLOUD", "LAND", "NO_LABEL", "Canvas", "Patch", "blocks", "observe"]

Array = npt.NDArray[np.float32]
NO_LABEL, CLOUD, LAND = 0, 6, 16
INFRARED, BRIGHT_WATER = 7, 0.05
"""B8, and the reflectance there from which on water hides what floats: sediment-laden water has up to 0.11."""
WATER_CLASSES = (7, 8, 10, 11, 13, 15)

COASTAL, TEN_METRES, TWENTY_METRES = (0,), (1, 2, 3, 7), (4, 5, 6, 8, 9, 10)
# Noise of one band over quiet water, on the bands' own grids: deviation of a pixel from the mean of 3 x 3, in the tenth
# of marida_train's images where it is least; what glints is added.
NOISE = np.array([2.5e-4, 5.5e-4, 4.5e-4, 4e-4, 3e-4, 3e-4, 3.5e-4, 3.5e-4, 3.5e-4, 2.5e-4, 2.5e-4], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Patch:
    """One thing that floats or sails, on pixels of its own."""

    row: int
    col: int
    fraction: Array
    """(height, width): how much of a pixel it covers, 0 to 1."""
    spectra: Array
    """(height, width, 11): its reflectance, or its excess over the water."""
    classes: npt.NDArray[np.uint8]
    """(height, width): class of the pixels that it makes its own, 0 elsewhere."""
    excess: bool = False
    """Whether `spectra` is added to what is there, rather than mixed with it."""
    measured: bool = True
    """Whether its spectra are those of whole labelled pixels, which a 20 m cell takes over, rather than mixed here."""


@dataclass(eq=False)
class Canvas:
    """A window of a scene while it is painted."""

    window: Window
    reflectance: Array
    """(11, height, width)"""
    classes: npt.NDArray[np.uint8]
    """(height, width), as in MARIDA; 0 where a pixel is a mixture that nobody would label."""
    own: npt.NDArray[np.bool_]
    """(height, width): pixels whose spectrum is a measured one, so that of the whole 20 m cell around it."""
    closed: npt.NDArray[np.bool_] | None = None
    """(height, width): where nothing can be painted, as on the clouds of a real image."""

    def paint(self, patch: Patch, on_land: bool = False) -> None:
        """Mix a patch with what is there. Pixels covered a little keep no label."""
        top, left = patch.row - self.window.row, patch.col - self.window.col
        height, width = patch.fraction.shape
        rows = slice(max(top, 0), min(top + height, self.window.height))
        cols = slice(max(left, 0), min(left + width, self.window.width))
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return
        inside = (slice(rows.start - top, rows.stop - top), slice(cols.start - left, cols.stop - left))
        fraction = patch.fraction[inside]
        if not on_land:
            fraction = np.where(self.classes[rows, cols] == LAND, 0, fraction)
        spectra = np.moveaxis(patch.spectra[inside], -1, 0)
        self.mix(rows, cols, fraction, spectra, patch.classes[inside], patch.excess, patch.measured)

    def mix(
        self,
        rows: slice,
        cols: slice,
        fraction: Array,
        spectra: Array,
        classes: npt.NDArray[np.uint8],
        excess: bool | npt.NDArray[np.bool_] = False,
        measured: bool = True,
    ) -> None:
        """Mix `spectra` (11, height, width) into a part of the canvas by `fraction` (height, width).

        Where `excess`, `spectra` is above that of the water there, and is added by `fraction`.
        """
        if self.closed is not None:
            fraction = np.where(self.closed[rows, cols], 0, fraction)
        there = self.reflectance[:, rows, cols]
        # On water as bright as the matter itself nobody would see it, nor label it.
        hidden = np.broadcast_to(excess, fraction.shape) & (there[INFRARED] > BRIGHT_WATER)
        fraction = np.where(hidden, 0, fraction)
        there += fraction * (spectra - np.where(excess, 0, there))
        np.maximum(there, LOWEST, out=there, where=fraction > 0)
        labels, own = self.classes[rows, cols], self.own[rows, cols]
        taken = (classes > 0) & (fraction > 0)
        labels[taken] = classes[taken]
        labels[~taken & (fraction > 0.08)] = NO_LABEL
        own[taken] = measured
        own[~taken & (fraction > 0.5)] = False


def observe(canvas: Canvas, phase: int, key: tuple[int, ...], noise: float) -> None:
    """Turn the painted picture into what the instrument gives: bands of 20 m and 60 m in blocks, and noise.

    A spectrum in the tables is that of a labelled 10 m pixel, so its 20 m bands already are those of the whole cell:
    where a cell holds such a pixel, it takes that pixel's value; elsewhere the mean of its four.

    Args:
        canvas: its window starts and ends on whole 60 m cells.
        phase: where 60 m cells start, in pixels: even, 0 to 4.
        key: of the noise.
        noise: factor on the usual noise.
    """
    _block(canvas, TWENTY_METRES, 2)
    _block(canvas, COASTAL, 6)
    window = canvas.window
    shifted = Window(window.row - phase, window.col - phase, window.height, window.width)
    for band in range(len(NOISE)):
        pitch = 6 if band in COASTAL else 2 if band in TWENTY_METRES else 1
        grain = white((*key, band), shifted, pitch)
        canvas.reflectance[band] += grain * (NOISE[band] * noise + 0.006 * canvas.reflectance[band])
    # A pixel beside measured matter shares its 20 m cell: too much of a mixture to be called open water by most.
    cells = canvas.own.reshape(window.height // 2, 2, window.width // 2, 2).any(axis=(1, 3))
    beside = cells.repeat(2, axis=0).repeat(2, axis=1) & ~canvas.own
    water = np.isin(canvas.classes, WATER_CLASSES)
    mute = white((*key, 90), window) > 0
    canvas.classes[beside & water & mute] = NO_LABEL


def blocks(canvas: Canvas, changed: npt.NDArray[np.bool_]) -> None:
    """Bring the bands of 20 m and 60 m into blocks again where a real image was painted over.

    Args:
        canvas: a real image, starting on a whole 20 m cell; where its 60 m cells start is not known, and not kept.
        changed: (height, width), pixels that were painted.
    """
    height, width = (side // 6 * 6 for side in changed.shape)
    part = (slice(0, height), slice(0, width))
    image = canvas.reflectance[:, :height, :width]
    for bands, size in ((TWENTY_METRES, 2), (COASTAL, 6)):
        inner = Canvas(Window(0, 0, height, width), image.copy(), canvas.classes[part], canvas.own[part])
        _block(inner, bands, size)
        cells = changed[part].reshape(height // size, size, width // size, size).any(axis=(1, 3))
        touched = cells.repeat(size, axis=0).repeat(size, axis=1)
        for band in bands:
            image[band][touched] = inner.reflectance[band][touched]


def _block(canvas: Canvas, bands: tuple[int, ...], size: int) -> None:
    """Give every block of size x size pixels one value in `bands`."""
    height, width = canvas.window.height // size, canvas.window.width // size
    values = canvas.reflectance[list(bands)].reshape(len(bands), height, size, width, size)
    own = canvas.own.reshape(height, size, width, size).astype(np.float32)
    count = own.sum(axis=(1, 3))
    total = np.einsum("bhiwj,hiwj->bhw", values, own)
    mean = values.mean(axis=(2, 4))
    result = np.where(count > 0, total / np.maximum(count, 1), mean)
    canvas.reflectance[list(bands)] = result.repeat(size, axis=1).repeat(size, axis=2)
