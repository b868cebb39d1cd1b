"""What a training has to know of its tiles before it begins: pixels of each class, and how bright bands are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.monitor import Monitor
from engine.training.data import TileSource, batches
from engine.training.patches import PatchTiles

__all__ = ["measure"]

MEASURED_TILES = 200


def measure(
    source: TileSource, batch_size: int, seed: int, monitor: Monitor
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Labelled pixels by number (256,), and median and deviation of each band.

    Bands are measured on some of the tiles. Labels of one's own are counted in all of them: a class may lie in a few
    tiles alone, and one that is not counted would weigh nothing. Practice scenes are counted where they are measured,
    since they would have to be made first; each of their classes is in many.
    """
    counts: npt.NDArray[np.int64] = np.zeros(256, dtype=np.int64)
    values = []
    chosen = np.random.default_rng([seed, 4]).permutation(len(source))[:MEASURED_TILES].tolist()
    for number, batch in enumerate(batches(source, chosen, batch_size)):
        monitor(number * batch_size / len(chosen), "Measuring the data")
        counts += np.bincount(batch.classes.numpy().ravel(), minlength=256)
        values.append(batch.reflectance.movedim(1, -1)[batch.observed][::17].numpy())
    if isinstance(source, PatchTiles):
        counts = source.counts
    counts[0] = 0
    pixels = np.concatenate(values)
    middle, spread = np.median(pixels, axis=0), np.maximum(pixels.std(axis=0), 1e-4)
    return counts, middle.astype(np.float32), spread.astype(np.float32)
