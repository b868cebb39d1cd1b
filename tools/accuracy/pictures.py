"""Pictures for docs/accuracy.md: the best, the median and the worst patch, and how honest the probabilities are."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from engine.marida import LabelledPatch, scene_of
from tools.accuracy.scoring import Detector, patches, scores

__all__ = ["colour_infrared", "draw_patches", "draw_reliability", "ranked", "write_picture"]

SCALE, GAP = 2, 8
BLUE_GREEN_RED_NIR = (1, 2, 3, 7)
STRETCH = (0.02, 0.15)
LABEL_COLOURS = {1: (230, 30, 30), 2: (240, 160, 20), 3: (240, 200, 60), 4: (150, 110, 40), 9: (230, 230, 230),
                 5: (90, 200, 250), 6: (160, 160, 200)}  # fmt: skip
OTHER_LABEL = (40, 70, 110)


def ranked(by_patch: dict[str, list[int]]) -> dict[str, str]:
    """Name of the best, the median and the worst patch that holds debris, by strict F1, then by debris."""
    order = sorted(by_patch, key=lambda name: (-scores(np.array(by_patch[name]))["f1"], -sum(by_patch[name][:3:2])))
    return {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}


def draw_patches(
    detector: Detector, thresholds: dict[str, float], folder: Path, chosen: dict[str, str], out: Path
) -> None:
    """One PNG a patch: colour infrared, labels, probability of debris, mask."""
    out.mkdir(parents=True, exist_ok=True)
    scenes = frozenset(scene_of(name) for name in chosen.values())
    for patch in patches(folder, scenes):
        for which in [key for key, name in chosen.items() if name == patch.name]:
            write_picture(out / f"{which}.png", _panels(patch, detector(patch), thresholds))


def _panels(patch: LabelledPatch, probability: np.ndarray, thresholds: dict[str, float]) -> np.ndarray:
    """(height, width, 3), uint8: four panels side by side, around the labelled debris."""
    image = colour_infrared(patch.reflectance)
    labels = np.zeros((*patch.classes.shape, 3))
    labels[patch.classes > 0] = OTHER_LABEL
    for number, rgb in LABEL_COLOURS.items():
        labels[patch.classes == number] = rgb
    debris = np.nan_to_num(probability[0])
    heat = np.stack([debris * 255, np.sqrt(debris) * 200, (1 - debris) * 40], axis=-1)
    mask = np.zeros_like(labels)
    mask[np.nan_to_num(probability.sum(axis=0)) >= thresholds["floating"]] = LABEL_COLOURS[2]
    mask[debris >= thresholds["strict"]] = LABEL_COLOURS[1]
    side = [image, labels, heat, mask]
    wide = [panel.repeat(SCALE, axis=0).repeat(SCALE, axis=1) for panel in side]
    gap = np.full((wide[0].shape[0], GAP, 3), 255.0)
    row = [part for panel in wide for part in (panel, gap)][:-1]
    return np.concatenate(row, axis=1).astype(np.uint8)


def colour_infrared(reflectance: np.ndarray) -> np.ndarray:
    """(height, width, 3), 0-255: B8, B4 and B3 of (11, height, width), as far as the brightest pixels ask for."""
    colour = reflectance[[7, 3, 2]]
    low, high = STRETCH[0], max(STRETCH[1], float(np.percentile(colour, 99.5)))
    return np.asarray(np.moveaxis(np.clip((colour - low) / (high - low), 0, 1) ** 0.6 * 255, 0, -1))


def write_picture(path: Path, image: np.ndarray) -> None:
    """Write (height, width, 3), uint8, as PNG or JPEG by the file's ending."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        height, width, _ = image.shape
        driver = "PNG" if path.suffix == ".png" else "JPEG"
        with rasterio.open(path, "w", driver=driver, width=width, height=height, count=3, dtype="uint8") as dataset:
            dataset.write(np.moveaxis(image, -1, 0))
    path.with_name(path.name + ".aux.xml").unlink(missing_ok=True)


def draw_reliability(rows: list[list[float]], path: Path) -> None:
    """An SVG: share of debris against mean probability, one point a tenth, and the line where both are equal."""
    side, edge = 300, 40
    points: list[Any] = [
        (edge + mean * side, edge + (1 - share) * side, pixels) for pixels, mean, share in rows if pixels
    ]
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2 + np.log10(max(n, 1)):.1f}" fill="#0b6e99"><title>{n} pixels</title>'
        "</circle>"
        for x, y, n in points
    )
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side + 2 * edge} {side + 2 * edge}" '
        'font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>'
        f'<rect x="{edge}" y="{edge}" width="{side}" height="{side}" fill="none" stroke="#888"/>'
        f'<line x1="{edge}" y1="{edge + side}" x2="{edge + side}" y2="{edge}" stroke="#bbb" stroke-dasharray="4"/>'
        f'<polyline points="{line}" fill="none" stroke="#0b6e99"/>{dots}'
        f'<text x="{edge + side / 2}" y="{side + 2 * edge - 8}" text-anchor="middle">probability of debris</text>'
        f'<text x="14" y="{edge + side / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {edge + side / 2})">share of debris</text></svg>\n'
    )
