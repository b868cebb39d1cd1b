"""Show the whole way once: install the plugin into a throw-away QGIS profile, detect debris, draw a map.

Everything runs as a person's own batch would: through qgis_process, with the plugin as it is packaged.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio

from engine.bands import BandLabel, match_bands
from engine.errors import BandError
from engine.practice.job import CLASS_NAMES
from engine.raster import gdal_settings, scene_name
from tools.install_plugin import ROOT, InstallError, install, link_engine
from tools.package_plugin import PLUGIN, PackageError, assemble
from tools.qgis_process import QgisProcess, QgisProcessError, headless_environment, qgis_python

COLOUR = ("B4", "B3", "B2")
CREDIT_PRACTICE = "Simulated scene made from measured signatures; no satellite image."
CREDIT_SATELLITE = "Contains modified Copernicus Sentinel data."
# A scene with fronts, clouds, wakes and floating matter of several kinds.
PRACTICE = {"SEED": 1, "WIDTH": 512, "HEIGHT": 512}
# Values of the mask that were looked at: clear water, marine debris, other floating matter.
OBSERVED = (0, 1, 2)
# The same number in a mask and in MARIDA's classes.
DEBRIS = 1
SAMPLE_PIXELS = 1000
MIN_WATER_SHARE = 0.05
# The range of values to show, in the spread of water and in its brightness: the wider of the two is taken.
WIDTH_IN_WATER, WIDTH_IN_LEVEL = 2.5, 1.0


class DemoError(Exception):
    """The demonstration cannot go on; the message says why."""


@dataclass(frozen=True)
class Results:
    """What one run of Detect Marine Debris gave."""

    scene: Path
    mask: Path
    probability: Path
    detections: Path
    figures: dict[str, Any]


def detect(qgis: QgisProcess, scene: Path, folder: Path) -> Results:
    """Run `debris:detect` on a raster, with all three outputs below `folder`."""
    paths = {
        "MASK": folder / "mask.tif",
        "PROBABILITY": folder / "probability.tif",
        "DETECTIONS": folder / "detections.gpkg",
    }
    figures = qgis.run("debris:detect", {"INPUT": scene, **paths})
    missing = [str(path) for path in paths.values() if not path.is_file()]
    if missing:
        raise DemoError(f"debris:detect ended well, but did not write {', '.join(missing)}.")
    return Results(scene, paths["MASK"], paths["PROBABILITY"], paths["DETECTIONS"], figures)


def look(scene: Path, mask: Path) -> dict[str, Any]:
    """What the map needs to know of the rasters: colour bands with their ranges, the mask's values, and the model."""
    with gdal_settings(), rasterio.open(scene) as image, rasterio.open(mask) as classes:
        labels = [BandLabel(text or "") for text in image.descriptions]
        try:
            red, green, blue, infrared = match_bands((*COLOUR, "B8"), labels)
        except BandError:
            red, green, blue, infrared = (1, 2, 3, 1) if image.count >= 3 else (1, 1, 1, 1)
        step = max(1, max(image.height, image.width) // SAMPLE_PIXELS)
        size = (-(-image.height // step), -(-image.width // step))
        states = classes.read(1, out_shape=size)
        tags = classes.tags()
        numbers = (red, green, blue, infrared)
        values = np.stack([image.read(number, out_shape=size) for number in numbers]).astype(np.float64)
    seen = values[:, np.isin(states, OBSERVED) & np.isfinite(values).all(axis=0)]
    # Water is where green outshines the near infrared: NDWI above 0 (McFeeters 1996, doi 10.1080/01431169608948714).
    water = seen[:, seen[1] > seen[3]]
    shown = water if water.shape[1] > MIN_WATER_SHARE * seen.shape[1] else seen
    colour = [
        {"band": number, "low": low, "high": high}
        for number, (low, high) in zip((red, green, blue), _ranges(shown[:3]), strict=True)
    ]
    model = f"Model {tags.get('MODEL', 'unknown')}, threshold {tags.get('THRESHOLD', 'unknown')}."
    return {"colour": colour, "mask_values": np.unique(states).tolist(), "model": model}


def _ranges(bands: npt.NDArray[np.float64]) -> list[tuple[float, float]]:
    """The lowest and highest value to show of each band, from the values of water, which the map is about.

    Half of each band's own darkness is taken off, as haze is, so that water stays bluish without a veil; all bands are
    as wide as the widest, so that what is bright keeps its colour. Clouds that pass for water do not widen the range.
    """
    if not bands.size:
        return [(0.0, 1.0)] * len(bands)
    dark, middle = np.percentile(bands, (5, 60), axis=1)
    low = (dark + dark.min()) / 2
    width = max(float((WIDTH_IN_WATER * (middle - low)).max()), float(WIDTH_IN_LEVEL * np.abs(middle).max()), 1e-6)
    return [(float(start) - 0.1 * width, float(start) + 0.9 * width) for start in low]


def draw(results: Results, title: str, credit: str, folder: Path) -> Path:
    """Draw the map with QGIS's own layout engine and return the PNG."""
    picture = folder / "map.png"
    description = folder / "map.json"
    description.write_text(
        json.dumps(
            {
                "title": title,
                "summary": summary(results.figures),
                "credit": credit,
                "scene": str(results.scene),
                "mask": str(results.mask),
                **look(results.scene, results.mask),
                "probability": str(results.probability),
                "detections": str(results.detections),
                "picture": str(picture),
            },
            indent=1,
        ),
        encoding="utf-8",
    )
    command = [qgis_python(), "-m", "tools.render_map", str(description.absolute())]
    environment = headless_environment(folder / "qgis")
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    shutil.rmtree(folder / "qgis", ignore_errors=True)
    if done.returncode != 0 or not picture.is_file():
        raise DemoError(f"QGIS could not draw the map:\n{done.stdout}{done.stderr}")
    return picture


def summary(figures: dict[str, Any]) -> str:
    """One sentence on what was found and how much was looked at."""
    count = figures["DETECTION_COUNT"]
    found = f"{count} detection{'' if count == 1 else 's'}"
    areas = [figures.get(name) for name in ("DEBRIS_AREA_M2", "OBSERVED_AREA_M2", "NOT_OBSERVED_AREA_M2")]
    if any(area is None for area in areas):
        return f"{found}; areas are unknown, the raster has no coordinate system"
    debris, observed, rest = areas
    return f"{found}, {debris:,.0f} m² in all; {observed / 1e6:,.2f} km² observed, {rest / 1e6:,.2f} km² not observed"


def against_truth(mask: Path, labels: Path) -> str:
    """How the debris found in a practice scene compares with the debris that was put there, pixel by pixel."""
    with rasterio.open(mask) as found, rasterio.open(labels) as true:
        flagged, classes = found.read(1) == DEBRIS, true.read(1)
    debris = classes == DEBRIS
    text = f"of {np.count_nonzero(debris)} true debris pixels, {np.count_nonzero(flagged & debris)} were found"
    counts = np.bincount(classes[flagged & ~debris], minlength=1)
    others = [f"{counts[number]} {CLASS_NAMES[number]}" for number in np.argsort(-counts) if number and counts[number]]
    if counts[0]:
        # Pixels without a label are mixtures, most of them of the debris itself with the water beside it.
        others.insert(0, f"{counts[0]} at the edges of things, which are part water and have no label")
    return f"{text}; also flagged: {', '.join(others)}" if others else f"{text}; nothing else was flagged"


def run(scene: Path | None, folder: Path) -> None:
    """Make what is missing below `folder`, run, and print where everything is and what was found."""
    profile_root = folder / "profile"
    plugin = install(assemble(folder / "plugin" / PLUGIN), profile_root)
    shutil.rmtree(folder / "plugin")
    if link_engine(ROOT / ".venv", profile_root) is None:
        raise DemoError("The engine's environment .venv is missing: run make setup.")
    qgis = QgisProcess(profile_root)
    name = scene_name(str(scene)) if scene else "practice"
    outputs = folder / name
    shutil.rmtree(outputs, ignore_errors=True)
    outputs.mkdir(parents=True)
    if scene is None:
        started = time.monotonic()
        scene = outputs / "scene.tif"
        qgis.run("debris:simulate", {**PRACTICE, "OUTPUT": scene, "LABELS": outputs / "labels.tif"})
        print(f"practice scene written in {time.monotonic() - started:.0f} s")
        title, credit = "Floating marine debris: practice scene", CREDIT_PRACTICE
    else:
        title, credit = f"Suspected floating marine debris: {name}", CREDIT_SATELLITE
    started = time.monotonic()
    results = detect(qgis, scene, outputs)
    print(f"detected in {time.monotonic() - started:.0f} s: {summary(results.figures)}")
    if (labels := outputs / "labels.tif").is_file():
        print(against_truth(results.mask, labels))
    picture = draw(results, title, credit, outputs)
    for label, path in (
        ("plugin", plugin),
        ("scene", results.scene),
        ("mask", results.mask),
        ("probability", results.probability),
        ("detections", results.detections),
        ("map", picture),
    ):
        print(f"{label:12} {path}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scene", type=Path, help="your own raster; else a practice scene is made")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "demo", help="where to work")
    options = parser.parse_args(arguments)
    if options.scene and not options.scene.is_file():
        sys.stderr.write(f"There is no file {options.scene}.\n")
        return 1
    try:
        run(options.scene and options.scene.resolve(), options.folder.absolute())
    except (DemoError, InstallError, PackageError, QgisProcessError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
