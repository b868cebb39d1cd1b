"""Pictures of validation tiles: colour, what is labelled, and what the network says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from engine.practice.scene import Tile
from engine.training.data import TileSource
from engine.training.run_folder import RunFolder

__all__ = ["MOST", "choose_tiles", "write_previews"]

MOST = 6
SEARCHED = 60
RED_GREEN_BLUE = ("B4", "B3", "B2")
# As in the plugin's styles: debris, other floating matter, and labelled but neither.
COLOURS = {1: (213, 94, 0, 255), 2: (0, 158, 115, 255), 3: (120, 120, 120, 110)}


def choose_tiles(source: TileSource, positive: Sequence[int]) -> list[int]:
    """Numbers of the tiles with most debris, among the first of a source."""
    counts = [int(np.isin(source.tile(index).classes, positive).sum()) for index in range(min(SEARCHED, len(source)))]
    order = np.argsort(counts, kind="stable")[::-1][:MOST]
    return sorted(int(index) for index in order)


def write_previews(
    folder: RunFolder,
    tiles: Sequence[Tile],
    predictions: Sequence[npt.NDArray[np.uint8]],
    bands: tuple[str, ...],
    roles: npt.NDArray[np.uint8],
) -> None:
    """Write three pictures a tile: `NN_colour.png`, `NN_truth.png` and `NN_prediction.png`.

    Args:
        folder: where to.
        tiles: what to show.
        predictions: (height, width) each: 1 debris, 2 other floating matter, 0 clear.
        bands: of the tiles.
        roles: (256,): what a class number is: 1 debris, 2 other floating matter, 3 neither, 0 no label.
    """
    for number, (tile, prediction) in enumerate(zip(tiles, predictions, strict=True)):
        pictures = {
            "colour": _colour(tile, bands),
            "truth": _painted(roles[tile.classes]),
            "prediction": _painted(np.where(tile.observed, prediction, 0).astype(np.uint8)),
        }
        for name, picture in pictures.items():
            folder.write(f"previews/{number:02}_{name}.png", _writer(picture))


def _colour(tile: Tile, bands: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """Red, green and blue, stretched from the 2nd to the 99th percentile of what is observed: (3, height, width)."""
    places = [bands.index(band) if band in bands else 0 for band in RED_GREEN_BLUE]
    image = tile.reflectance[places]
    seen = image[:, tile.observed]
    if not seen.size:
        return np.zeros(image.shape, dtype=np.uint8)
    low, high = np.percentile(seen, [2, 99])
    stretched = np.clip((image - low) / max(high - low, 0.02), 0, 1) * 255
    return np.where(tile.observed, stretched, 0).astype(np.uint8)


def _painted(roles: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """(4, height, width): a colour for each role, transparent for 0."""
    palette = np.zeros((256, 4), dtype=np.uint8)
    for role, colour in COLOURS.items():
        palette[role] = colour
    return np.ascontiguousarray(palette[roles].transpose(2, 0, 1))


def _writer(picture: npt.NDArray[np.uint8]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        import warnings

        count, height, width = picture.shape
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, "w", driver="PNG", count=count, height=height, width=width, dtype="uint8") as file:
                file.write(picture)

    return write
