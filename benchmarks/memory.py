"""Peak resident memory of the engine's process for scenes of growing size, all outputs written."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.scenes import write_scene
from engine.modelfile import BUNDLED_MODEL

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=BUNDLED_MODEL)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2000, 6000], help="pixels a side")
    options = parser.parse_args()
    peaks = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            scene = write_scene(Path(folder) / "scene.tif", size, size)
            started = time.perf_counter()
            peaks.append(peak_megabytes(scene, options.model))
            seconds = time.perf_counter() - started
            stored = scene.stat().st_size / 1024**2
        print(
            f"{size} x {size} ({stored:.0f} MB stored): peak {peaks[-1]:.0f} MB resident, {seconds:.0f} s", flush=True
        )
    if len(peaks) > 1:
        pixels = (options.sizes[-1] / options.sizes[0]) ** 2
        print(f"memory, last / first: {peaks[-1] / peaks[0]:.2f} for {pixels:.0f} times the pixels")


def peak_megabytes(scene: Path, model: Path) -> float:
    """Peak resident memory, in MiB, of one detection in a process of its own."""
    outputs = {"mask": "mask.tif", "probability": "probability.tif", "detections": "detections.gpkg"}
    command = [sys.executable, "-m", "engine", "detect", "--input", str(scene), "--model", str(model)]
    for option, name in outputs.items():
        command += [f"--{option}", str(scene.parent / name)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    messages = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(messages.decode("utf-8", "replace"))
    # Linux counts in KiB, macOS in bytes.
    return float(usage.ru_maxrss) / (1024**2 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
