"""The two thresholds of a run, in words: what the likeliest pixel of a group reaches, and how far the group does."""

from typing import List, Optional, Tuple

SAME = 1e-6
"""Rasters tell thresholds to six digits."""


def linked(threshold: Optional[float], extent: Optional[float]) -> bool:
    """Whether groups take in pixels below the threshold; not said to where either is unknown.

    Args:
        threshold: that the likeliest pixel of each group reaches.
        extent: from which pixels belong to a group; unknown where a table is all there is, or a run is older.
    """
    return threshold is not None and extent is not None and extent < threshold - SAME


def brief(threshold: float, extent: Optional[float]) -> str:
    """Both in a few words, the threshold alone where every pixel reaches it."""
    return f"{threshold:.3g}, groups from {extent:.3g} on" if linked(threshold, extent) else f"{threshold:.3g}"


def explained(threshold: Optional[float], extent: Optional[float]) -> List[Tuple[str, str]]:
    """Names of the thresholds, and each with what it means."""
    if threshold is None:
        return [("threshold", "unknown")]
    if linked(threshold, extent):
        return [
            ("threshold", f"{threshold:g} (probability that the likeliest pixel of each group reaches)"),
            ("extent threshold", f"{extent:g} (probability from which pixels belong to such a group)"),
        ]
    # Where the extent is unknown it may be lower: what is said must hold then too.
    both = "from which a pixel counts as debris"
    meaning = "that the likeliest pixel of each detection reaches" if extent is None else both
    return [("threshold", f"{threshold:g} (probability {meaning})")]
