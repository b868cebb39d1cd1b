"""How much longer Detect takes than the network alone on the same tiles.

Detect reads, normalises, predicts, blends, classifies, outlines and writes; the bare forward pass runs the same network
on as many resident tiles of the same size. Both run in turn in one process, so the ratio holds on any machine.
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
from engine.detection import TILE
from engine.jobs import DetectRequest, run
from engine.modelfile import BUNDLED_MODEL, load
from engine.network import receptive_radius
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
    overlap = min(receptive_radius(network.config), TILE // 2)
    tiles = len(tile_axis(options.size, min(TILE, options.size), overlap).starts) ** 2
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
        pairs = [(_timed(lambda: run(request)), _bare(network, len(card.bands), tiles)) for _ in range(options.repeats)]
    ratios = sorted(detect / bare for detect, bare in pairs)
    print(f"machine: {platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"scene: {options.size} x {options.size}, {tiles} tiles of {TILE} that share {overlap} pixels")
    print(f"Detect: {min(detect for detect, _ in pairs):.1f} s; network alone: {min(bare for _, bare in pairs):.1f} s")
    print(f"Detect / network: {statistics.median(ratios):.2f} (of {options.repeats}: {ratios[0]:.2f}-{ratios[-1]:.2f})")
    share = tiles * TILE**2 / options.size**2
    print(f"pixels predicted / pixels of the scene, by overlap: {share:.2f}")


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _bare(network: torch.nn.Module, bands: int, tiles: int) -> float:
    """Seconds that the network alone takes for as many tiles."""
    network = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch = torch.randn(1, bands, TILE, TILE).contiguous(memory_format=torch.channels_last)

    def forward() -> None:
        for _ in range(tiles):
            network(batch)

    with torch.inference_mode():
        network(batch)
        return _timed(forward)


if __name__ == "__main__":
    main()
