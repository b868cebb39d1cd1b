"""How much longer Detect takes than the network alone on the same tiles.

Detect reads, normalises, predicts, blends, classifies, outlines and writes; the bare forward pass runs the same network
on as many resident tiles of the same size, in the same precision and, where that is bfloat16, in float32 too. They run
in turn in one process, so the ratios hold on any machine.
"""

from __future__ import annotations

import argparse
import logging
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.scenes import write_scene
from engine.devices import runs_mixed
from engine.jobs import DetectRequest, run
from engine.modelfile import BUNDLED_MODEL, load
from engine.network import receptive_radius
from engine.tile_prediction import overlap_of, tile_size
from engine.tiling import tile_axis


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=BUNDLED_MODEL)
    parser.add_argument("--size", type=int, default=2048, help="pixels a side")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    logging.getLogger("engine").setLevel(logging.ERROR)
    network, card, _ = load(options.model)
    tile, _ = tile_size(options.size, options.size)
    overlap, _ = overlap_of(None, receptive_radius(network.config), (tile, tile))
    tiles = len(tile_axis(options.size, tile, overlap).starts) ** 2
    with tempfile.TemporaryDirectory() as folder:
        scene = write_scene(Path(folder) / "scene.tif", options.size, options.size)
        request = DetectRequest(
            input=str(scene),
            mask=str(Path(folder) / "mask.tif"),
            probability=str(Path(folder) / "probability.tif"),
            detections=str(Path(folder) / "detections.gpkg"),
            model=str(options.model),
            device="cpu",
        )
        mixed, bands = runs_mixed(request.precision, torch.device("cpu")), len(card.bands)
        runs = [
            (
                _timed(lambda: run(request)),
                _bare(network, bands, tile, tiles, mixed),
                _bare(network, bands, tile, tiles, False),
            )
            for _ in range(options.repeats)
        ]
    ratios, gains = sorted(detect / bare for detect, bare, _ in runs), sorted(full / bare for _, bare, full in runs)
    print(f"machine: {platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"scene: {options.size} x {options.size}, {tiles} tiles of {tile} that share {overlap} pixels")
    print(f"Detect: {min(run[0] for run in runs):.1f} s; network alone: {min(run[1] for run in runs):.1f} s")
    print(f"Detect / network: {statistics.median(ratios):.2f} (of {options.repeats}: {ratios[0]:.2f}-{ratios[-1]:.2f})")
    if mixed:
        print(f"network in float32 / in bfloat16: {statistics.median(gains):.2f} ({gains[0]:.2f}-{gains[-1]:.2f})")
    share = tiles * tile**2 / options.size**2
    print(f"pixels predicted / pixels of the scene, by overlap: {share:.2f}")


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _bare(network: torch.nn.Module, bands: int, tile: int, tiles: int, mixed: bool) -> float:
    """Seconds that the network alone takes for as many tiles, in bfloat16 where `mixed`."""
    network = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch = torch.randn(1, bands, tile, tile).contiguous(memory_format=torch.channels_last)

    def forward() -> None:
        for _ in range(tiles):
            network(batch)

    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
        network(batch)
        return _timed(forward)


if __name__ == "__main__":
    main()
