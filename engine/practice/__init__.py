"""Practice scenes: pictures of the sea whose every pixel is known, composed from measured spectra.

Real labels of marine debris are few and lie in few places. Practice scenes have as many as one likes, and can be given
away. What they hold is measured (`spectra`); how it lies in space is drawn (`water`, `things`); `canvas` sees it as
Sentinel-2 does.
"""

from __future__ import annotations

from engine.practice.job import simulate
from engine.practice.scene import INGREDIENTS, PracticeScene, SceneOptions, Tile, make_tile

__all__ = ["INGREDIENTS", "PracticeScene", "SceneOptions", "Tile", "make_tile", "simulate"]
