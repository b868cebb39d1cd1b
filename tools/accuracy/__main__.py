"""Measure, keep the figures in docs/accuracy.json, and write docs/accuracy.md and README's figures from them.

    python -m tools.accuracy all   --data … --textures … --pool …     bundled, practice and baselines, one by one
    python -m tools.accuracy seeds --data … --models A B C            models of seeds, by the thresholds of their cards
    python -m tools.accuracy loso  --data … --folder …                what tools/leave_one_scene_out.py wrote
    python -m tools.accuracy ablation --data … --textures … --pool …  boosted trees that each lack something
    python -m tools.accuracy render                                   the files alone

`make accuracy` runs `all`. The other sections cost hours of training, and stay as they were last measured.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from engine.modelfile import BUNDLED_MODEL, read_card
from engine.training.pool import PoolTiles
from tools.accuracy.ablation import ablate
from tools.accuracy.coast import look_at_coast
from tools.accuracy.detectors import index_rule, network_detector, train_trees
from tools.accuracy.leave_one_out import measure_scenes
from tools.accuracy.pictures import draw_patches, draw_reliability, ranked
from tools.accuracy.practice import false_detections
from tools.accuracy.report import PICTURES, RESULTS, render
from tools.accuracy.scoring import Detector, Measured, at_thresholds, measure, summary

TREES = ("forest", "lightgbm", "lightgbm-windows")
SEEDS = (0, 1, 2)
"""Of the recipe, and of the trees that are compared with it."""


def say(text: str) -> None:
    """One line to the terminal, at once."""
    print(text, flush=True)  # noqa: T201


def main() -> None:
    """Measure one section, then write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "section", choices=("all", "bundled", "practice", "coast", "baselines", "seeds", "loso", "ablation", "render")
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/marida"), help="labelled patches")
    parser.add_argument("--textures", type=Path, default=Path("../shared/data/marida_train"), help="real images")
    parser.add_argument("--pool", type=Path, default=Path("build/pool"), help="made by tools/make_pool.sh")
    parser.add_argument("--coast", type=Path, default=Path("../shared/data/accra_l2a"), help="a coast to look at")
    parser.add_argument("--models", type=Path, nargs="+", default=[], help="files to measure as seeds")
    parser.add_argument("--folder", type=Path, help="what tools.leave_one_scene_out wrote")
    parser.add_argument("--tiles", type=int, default=1000, help="practice tiles without debris, of the first kind")
    parser.add_argument("--tree-tiles", type=int, default=1500, help="tiles of the pool that trees learn from")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.section == "seeds" and not options.models:
        parser.error("seeds needs --models FILE…")
    if options.section == "loso" and options.folder is None:
        parser.error("loso needs --folder FOLDER")
    torch.set_num_threads(options.threads)
    sections = {
        "bundled": bundled, "practice": practice, "coast": coast, "baselines": baselines, "seeds": seeds,
        "loso": leave_one_out, "ablation": ablation,
    }  # fmt: skip
    chosen = ["bundled", "practice", "coast", "baselines"] if options.section == "all" else [options.section]
    for name in chosen:
        found = sections[name](options) if name in sections else {}
        # Read anew each time: another section may have been measured meanwhile.
        results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results.update(found)
        results.setdefault("measured_with", {}).update(dict.fromkeys(found, read_card(BUNDLED_MODEL).name))
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        render(results)


def bundled(options: argparse.Namespace) -> dict[str, Any]:
    """The bundled model, and its pictures."""
    detector, thresholds, predictor = network_detector(None)
    network, card = measure(detector, thresholds, options.data), predictor.card
    found = {
        **summary(network), "name": card.name, "sha256": predictor.sha256, "training": card.training,
        "card_metrics": card.metrics, "patches": _patches(network),
        "at_thresholds": at_thresholds(network),
    }  # fmt: skip
    chosen = ranked(found["patches"])
    draw_patches(detector, thresholds, options.data, chosen, PICTURES)
    draw_reliability(found["reliability"], PICTURES / "reliability.svg")
    say("bundled model measured")
    return {"network": found, "pictures": chosen}


def baselines(options: argparse.Namespace) -> dict[str, Any]:
    """The index rule, and trees that learn from the bundled model's tiles, with its seed and others."""
    _, _, predictor = network_detector(None)
    pool, shipped = PoolTiles(options.pool), int(predictor.card.training.get("seed", 0))
    rule: Detector = index_rule
    result: dict[str, Any] = {"index rule": summary(measure(rule, {"strict": 0.5, "floating": 0.5}, options.data))}
    seeds = sorted({*SEEDS, shipped})
    for name in TREES:
        trees = train_trees(name, pool, options.textures, seeds, options.tree_tiles, say)
        found = {seed: summary(measure(tree, tree.thresholds, options.data))
                 for seed, tree in zip(seeds, trees, strict=True)}  # fmt: skip
        result[name] = found[shipped]
        for protocol in ("strict", "floating"):
            result[name][protocol]["seeds"] = [found[seed][protocol]["f1"] for seed in SEEDS]
        say(f"{name}: strict F1 {result[name]['strict']['seeds']}")
    return {"baselines": result}


def practice(options: argparse.Namespace) -> dict[str, Any]:
    """Practice tiles without debris."""
    return {"practice": false_detections(BUNDLED_MODEL, options.tiles)}


def coast(options: argparse.Namespace) -> dict[str, Any]:
    """A real coast, where there are no labels: counted and drawn; nothing where its image is not at hand."""
    if not options.coast.is_dir():
        say(f"There is no {options.coast}: the coast is left as it was.")
        return {}
    return {"coast": look_at_coast(options.coast, PICTURES / "coast.jpg")}


def _patches(measured: Measured) -> dict[str, list[int]]:
    """Counts of the patches that hold debris."""
    return {name: four.tolist() for name, four in measured.by_patch.items() if four[0] + four[2]}


def seeds(options: argparse.Namespace) -> dict[str, Any]:
    """Models of several seeds, by the thresholds of their cards, which they share."""
    rows = []
    for path in options.models:
        detector, thresholds, predictor = network_detector(path)
        rows.append({**summary(measure(detector, thresholds, options.data)), "seed": predictor.card.training["seed"],
                     "card_metrics": predictor.card.metrics, "sha256": predictor.sha256})  # fmt: skip
        say(f"{path.name}: {rows[-1]['strict']}")
    return {"seeds": rows}


def leave_one_out(options: argparse.Namespace) -> dict[str, Any]:
    """Pooled scores of models that did not see the scene; thresholds from the other scenes."""
    scenes = measure_scenes(options.folder, options.data)
    return {"loso": {**summary(scenes.total), "thresholds": scenes.thresholds}}


def ablation(options: argparse.Namespace) -> dict[str, Any]:
    """Boosted trees that each lack something."""
    pool = PoolTiles(options.pool)
    rows = ablate(pool, options.textures, options.data, 0, options.tree_tiles, SEEDS, say)
    return {"ablation": rows}


if __name__ == "__main__":
    main()
