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
from engine.raster import gdal_settings, scene_name
from tools.install_plugin import ROOT, InstallError, install, link_engine
from tools.package_plugin import PLUGIN, PackageError, assemble
from tools.qgis_process import QgisProcess, QgisProcessError, headless_environment, qgis_python

COLOUR = ("B4", "B3", "B2")
CREDIT_PRACTICE = "Simulated scene made from measured signatures; no satellite image."
CREDIT_SATELLITE = "Contains modified Copernicus Sentinel data."
# Values of the mask that were looked at: clear water, marine debris, other floating matter.
OBSERVED = (0, 1, 2)
SAMPLE_PIXELS = 1000


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
    """What the map needs to know of the rasters: the colour bands with their ranges, and the mask's values.

    Open water is dark and narrow in range, and is what the map is about: a band's range is that of the darker 98 % of
    what was observed, in stored numbers, and clouds and beaches may saturate.
    """
    with gdal_settings(), rasterio.open(scene) as image, rasterio.open(mask) as classes:
        labels = [BandLabel(text or "") for text in image.descriptions]
        try:
            numbers = match_bands(COLOUR, labels)
        except BandError:
            numbers = (1, 2, 3) if image.count >= 3 else (1, 1, 1)
        step = max(1, max(image.height, image.width) // SAMPLE_PIXELS)
        size = (-(-image.height // step), -(-image.width // step))
        states = classes.read(1, out_shape=size)
        bands = [image.read(number, out_shape=size).astype(np.float64) for number in numbers]
    observed = np.isin(states, OBSERVED)
    colour = [
        {"band": number, **_stretch(values[observed & np.isfinite(values)])}
        for number, values in zip(numbers, bands, strict=True)
    ]
    return {"colour": colour, "mask_values": np.unique(states).tolist()}


def _stretch(values: npt.NDArray[np.float64]) -> dict[str, float]:
    if not values.size:
        return {"low": 0.0, "high": 1.0}
    low, high = np.percentile(values, (1, 98))
    return {"low": float(low), "high": float(high if high > low else low + 1e-6)}


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
    command = [qgis_python(), str(ROOT / "tools" / "render_map.py"), str(description)]
    done = subprocess.run(
        command, env=headless_environment(folder / "qgis"), capture_output=True, text=True, check=False
    )
    shutil.rmtree(folder / "qgis", ignore_errors=True)
    if done.returncode != 0 or not picture.is_file():
        raise DemoError(f"QGIS could not draw the map:\n{done.stdout}{done.stderr}")
    return picture


def summary(figures: dict[str, Any]) -> str:
    """One sentence on what was found and how much was looked at."""
    found = f"{figures['DETECTION_COUNT']} detections"
    areas = [figures.get(name) for name in ("DEBRIS_AREA_M2", "OBSERVED_AREA_M2", "NOT_OBSERVED_AREA_M2")]
    if any(area is None for area in areas):
        return f"{found}; areas are unknown, the raster has no coordinate system"
    debris, observed, rest = areas
    return f"{found}, {debris:,.0f} m² in all; {observed / 1e6:,.2f} km² observed, {rest / 1e6:,.2f} km² not observed"


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
        qgis.run("debris:simulate", {"OUTPUT": scene, "LABELS": outputs / "labels.tif"})
        print(f"practice scene written in {time.monotonic() - started:.0f} s")
        title, credit = "Floating marine debris: practice scene", CREDIT_PRACTICE
    else:
        title, credit = f"Suspected floating marine debris: {name}", CREDIT_SATELLITE
    started = time.monotonic()
    results = detect(qgis, scene, outputs)
    print(f"detected in {time.monotonic() - started:.0f} s: {summary(results.figures)}")
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
        run(options.scene and options.scene.absolute(), options.folder.absolute())
    except (DemoError, InstallError, PackageError, QgisProcessError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
