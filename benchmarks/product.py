"""A whole Sentinel-2 product, 10980 x 10980 pixels of JP2: prepared and detected, with where the time went and memory.

The product is made here: metadata after the specification, and images that repeat one practice scene with coast and
cloud. Each job runs in a process of its own, whose clock is stopped at reading, predicting and writing.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

from engine.bands import MARIDA_ORDER
from engine.jobs import DetectRequest, PrepareRequest, run
from engine.practice.scene import PracticeScene, SceneOptions
from engine.tiling import Window

ROOT = Path(__file__).resolve().parents[1]
FULL = 10980
PATTERN = 1098
OFFSET = 1000


def main() -> None:
    """Measure and print; or, in a child, run one job."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=FULL, help=f"pixels a side, a multiple of {PATTERN}")
    parser.add_argument("--product", type=Path, help="a SAFE folder to use instead of one that is made")
    parser.add_argument("--jobs", nargs="+", default=["decode", "prepare", "detect"])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(options.child, options.product)
        return
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        product = options.product or make_product(Path(folder), options.size)
        stored = sum(file.stat().st_size for file in product.rglob("*.jp2")) / 1024**2
        print(f"{product.name}: {stored:.0f} MB of JP2, made in {time.perf_counter() - started:.0f} s", flush=True)
        for job in options.jobs:
            for line in _run_child(job, product):
                print(line, flush=True)


def make_product(folder: Path, size: int) -> Path:
    """An L1C SAFE of `size` x `size` pixels of 10 m."""
    # The tests' builder writes the metadata, around images of a few pixels that are replaced here.
    sys.path.insert(0, str(ROOT / "tests" / "engine"))
    from safe_builder import ANGLES, ORIGIN, UTM, write_l1c

    from engine.bands import BAND_NAMES
    from engine.sentinel2.metadata import Angles
    from engine.sentinel2.rayleigh import rayleigh_terms
    from engine.sentinel2.safe import NATIVE_RESOLUTION

    views = [dict.fromkeys(BAND_NAMES, ANGLES[name]) for name in ("view_zenith", "view_azimuth")]
    terms = rayleigh_terms(MARIDA_ORDER, Angles(ANGLES["sun_zenith"], ANGLES["sun_azimuth"], *views))
    tile = PracticeScene(21, PATTERN, PATTERN, SceneOptions()).render(Window(0, 0, PATTERN, PATTERN))
    pattern = dict(zip(MARIDA_ORDER, terms.simulate(tile.reflectance), strict=True))
    flat = np.full((PATTERN, PATTERN), 0.002, dtype=np.float32)
    safe = write_l1c(folder, np.full((11, 60, 60), 0.1, dtype=np.float32))
    for band in BAND_NAMES:
        step = NATIVE_RESOLUTION[band]
        numbers = np.clip(np.round(pattern.get(band, flat) * 10000 + OFFSET), 1, 65535).astype(np.uint16)
        coarse = np.tile(numbers[:: step // 10, :: step // 10], (size // PATTERN, size // PATTERN))
        name = "B8A" if band == "B8A" else f"B{int(band[1:]):02d}"
        with (
            rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"),
            rasterio.open(
                next(safe.rglob(f"*_{name}.jp2")), "w", driver="JP2OpenJPEG", width=coarse.shape[1],
                height=coarse.shape[0], count=1, dtype="uint16", crs=UTM, QUALITY="100", REVERSIBLE="YES",
                transform=Affine(step, 0, ORIGIN[0], 0, -step, ORIGIN[1]),
            ) as image,
        ):  # fmt: skip
            image.write(coarse, 1)
    return safe


def _run_child(job: str, product: Path) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.product", "--child", job, "--product", str(product)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{job} failed")
    found = json.loads(done.stdout.splitlines()[-1])
    parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in found["parts"].items())
    return [f"{job}: {found['seconds']:.0f} s ({parts}); peak {found['peak_mb']:.0f} MB resident"]


def _child(job: str, product: Path) -> None:
    """Run one job with its clocks, and print what they say as JSON."""
    logging.getLogger("engine").setLevel(logging.ERROR)
    clocks = _Clocks()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        _decode(product, clocks) if job == "decode" else _job(job, product, Path(folder), clocks)
    seconds = time.perf_counter() - started
    # Linux counts in KiB, macOS in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "parts": clocks.seconds, "peak_mb": peak}))


def _job(job: str, product: Path, folder: Path, clocks: _Clocks) -> None:
    from engine import detection, raster
    from engine.prediction import Predictor
    from engine.sentinel2 import prepare, quality

    clocks.watch(quality, "make_quality", "masks (with their decoding)")
    detection.make_quality = prepare.make_quality = quality.make_quality
    clocks.watch(raster.Scene, "read", "decoding")
    clocks.watch(Predictor, "probabilities", "network")
    for name in ("write", "finish"):
        clocks.watch(raster.RasterSink, name, "writing")
    outputs = {name: str(folder / f"{name}.tif") for name in ("output", "quality", "mask", "probability")}
    given = {"product": (str(product),)}
    if job == "prepare":
        run(PrepareRequest(output=outputs["output"], quality=outputs["quality"], **given))
    else:
        run(DetectRequest(mask=outputs["mask"], probability=outputs["probability"],
                          detections=str(folder / "found.gpkg"), **given))  # fmt: skip


def _decode(product: Path, clocks: _Clocks) -> None:
    """All bands once, on one core and on all."""
    from engine.raster import gdal_settings, open_scene
    from engine.sentinel2.product import open_product

    text = open_product(product).as_vrt(MARIDA_ORDER)
    for threads in ("1", "ALL_CPUS"):
        with gdal_settings(), rasterio.Env(GDAL_NUM_THREADS=threads), open_scene(text, MARIDA_ORDER) as scene:
            started = time.perf_counter()
            for row in range(0, scene.grid.height, 256):
                scene.read(Window(row, 0, 256, scene.grid.width))
            clocks.seconds[f"{threads} of {os.cpu_count()} cores"] = time.perf_counter() - started


class _Clocks:
    """Seconds by what is done; parts that run in threads beside each other add up to more than the whole."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inside = False

    def watch(self, owner: Any, name: str, label: str) -> None:
        """Count the time in a function of a module or class; reading within the making of masks counts there alone."""
        function: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            if self._inside:
                return function(*arguments, **options)
            self._inside = name == "make_quality"
            started = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self._inside = False
                self.seconds[label] = self.seconds.get(label, 0.0) + time.perf_counter() - started

        setattr(owner, name, timed)


if __name__ == "__main__":
    main()
