"""Two thresholds for one class: groups of pixels from a lower one on count where one of them reaches the higher one.

Hysteresis (Canny 1986, doi 10.1109/TPAMI.1986.4767851): the threshold says how sure the surest pixel must be, and the
extent how far its group reaches. Who raises the threshold of a model asks for surer groups, not for smaller ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["EIGHT_NEIGHBOURS", "linked"]

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)


def linked(probability: npt.NDArray[np.float32], extent: float) -> npt.NDArray[np.float32]:
    """What each pixel's group reaches at most: debris is where that reaches a threshold of at least `extent`.

    Args:
        probability: (height, width), float32; NaN where nothing was observed.
        extent: probability from which pixels belong to a group, with their eight neighbours.

    Returns:
        (height, width), float32: the highest probability of the group, the pixel's own where it belongs to none.
    """
    groups, count = ndimage.label(probability >= extent, structure=EIGHT_NEIGHBOURS)
    if not count:
        return probability
    highest = ndimage.maximum(probability, groups, np.arange(1, count + 1))
    return np.where(groups > 0, np.concatenate([[0], highest])[groups], probability).astype(np.float32)
