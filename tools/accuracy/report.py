"""Writes docs/accuracy.md, and the figures in README.md, from docs/accuracy.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from engine.practice.job import CLASS_NAMES
from tools.accuracy.introduction import INTRODUCTION
from tools.accuracy.practice import BUSY, QUIET
from tools.accuracy.readme import write_readme
from tools.accuracy.scoring import difference

__all__ = ["HISTORY", "PAGE", "PICTURES", "RESULTS", "render"]

ROOT = Path(__file__).parents[2]
RESULTS, PAGE = ROOT / "docs" / "accuracy.json", ROOT / "docs" / "accuracy.md"
HISTORY = ROOT / "docs" / "accuracy-history.md"
PICTURES = ROOT / "docs" / "accuracy"

MISSING = {
    "seeds": "More seeds of the clean track: `python -m tools.accuracy seeds`.",
    "loso": "Leave-one-scene-out: `python -m tools.leave_one_scene_out`, then `python -m tools.accuracy loso`.",
    "ablation": "What each ingredient is worth: `python -m tools.accuracy ablation` (boosted trees, 14 rows).",
}


def render(results: dict[str, Any]) -> None:
    """Write the page, and the part of README between its marks."""
    parts = [INTRODUCTION]
    if "network" in results:
        parts += [_models(results), _classes(results["network"]), _calibration(results["network"])]
    if "practice" in results:
        parts.append(_practice(results["practice"]))
        if _has_other_thresholds(results):
            parts.append(_thresholds(results["network"], results["practice"]))
    if "coast" in results:
        parts.append(_coast(results["coast"]))
    if "loso" in results:
        parts += [_loso(results["loso"]), _of(results, "loso")]
    if "ablation" in results:
        parts += [_ablation(results["ablation"]), _of(results, "ablation")]
    if "pictures" in results:
        parts.append(_pictures(results["pictures"]))
    missing = [text for key, text in MISSING.items() if key not in results]
    if missing:
        parts.append("## Not measured yet\n\n" + "\n".join(f"- {text}" for text in missing) + "\n")
    parts.append(_reproducing())
    PAGE.write_text("\n".join(parts))
    if "network" in results:
        mean = [row["strict"]["f1"] for row in results.get("seeds", []) if _current(results, "seeds")]
        quiet = results["practice"][QUIET] if _has_other_thresholds(results) else None
        write_readme(ROOT / "README.md", results["network"], mean, quiet)


def _current(results: dict[str, Any], section: str) -> bool:
    """Whether a section was measured with the recipe of the shipped model."""
    return bool(results.get("measured_with", {}).get(section, "?") == results["network"]["name"])


def _of(results: dict[str, Any], section: str) -> str:
    """Which model's recipe a section was measured with, since not all are measured anew with each."""
    name, shipped = results.get("measured_with", {}).get(section), results.get("network", {}).get("name")
    older = "" if name == shipped else f", not of {shipped}, which is newer"
    return f"Measured with the recipe of {name}{older}.\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"


def _figures(scores: dict[str, Any]) -> list[str]:
    low, high = scores["interval"]
    return [f"**{scores['f1']:.3f}** [{low:.3f}, {high:.3f}]", f"{scores['iou']:.3f}", f"{scores['precision']:.3f}",
            f"{scores['recall']:.3f}", f"{scores['threshold']:.3f}"]  # fmt: skip


HEAD = ["F1", "IoU", "precision", "recall", "threshold"]


def _models(results: dict[str, Any]) -> str:
    network, seeds = results["network"], results.get("seeds", [])
    recipe = (
        "the same recipe"
        if _current(results, "seeds")
        else results.get("measured_with", {}).get("seeds", "an older recipe")
    )
    rows: dict[str, list[list[str]]] = {"strict": [], "floating": []}
    for protocol, found in rows.items():
        found.append([f"**{network['name']}, shipped** ({_seeds_of(network['training'])})",
                      *_figures(network[protocol])])  # fmt: skip
        found += [[f"{recipe}, seed {row['seed']}", *_figures(row[protocol])] for row in seeds]
        for name, row in results.get("baselines", {}).items():
            if protocol == "strict" or name != "index rule":
                found.append([name, *_figures(row[protocol])])
    text = ["## Clean track, strict protocol\n", _table(["model", *HEAD], rows["strict"])]
    text += [*_means(results, recipe), *_differences(results)]
    text.append(
        "\nTrees in the table are of the shipped model's seed: forest (125 trees, depth 20) and LightGBM on single "
        "pixels (11 bands,\n4 indices), LightGBM with windows (mean and deviation in 3, 7 and 15 pixels, contrast in "
        "15 and 31), trained in this run on a sample\nof the same tiles, thresholds by the same rule. The index rule: "
        "FDI and NDVI both within the 5 and 95 percentiles of published debris spectra. Trees are asked about "
        "every 13th unlabelled pixel.\n"
    )
    text += ["## Clean track, floating protocol\n", _table(["model", *HEAD], rows["floating"])]
    return "\n".join(text)


def _seeds_of(training: dict[str, Any]) -> str:
    """The seeds of a model's card."""
    together = training.get("seeds")
    return f"seeds {', '.join(map(str, together))} together" if together else f"seed {training.get('seed', '?')}"


def _means(results: dict[str, Any], recipe: str) -> list[str]:
    """Mean scores of the seeds of the recipe, and of each kind of trees."""
    found = {}
    if seeds := results.get("seeds", []):
        found[recipe] = [[row[protocol]["f1"] for row in seeds] for protocol in ("strict", "floating")]
    for name, row in results.get("baselines", {}).items():
        if "seeds" in row["strict"]:
            found[name] = [row[protocol]["seeds"] for protocol in ("strict", "floating")]
    goals = {recipe: " Goals, with three seeds: 0.85 and 0.90."}
    return [
        f"Mean of {len(strict)} seeds of {name}: strict F1 {np.mean(strict):.3f}, floating F1 {np.mean(floating):.3f}."
        f"{goals.get(name, '')}\n"
        for name, (strict, floating) in found.items()
    ]


def _differences(results: dict[str, Any]) -> list[str]:
    """How the shipped network's F1 differs from each baseline's."""
    lines = []
    for name, row in results.get("baselines", {}).items():
        counts = [
            {scene: np.array(four) for scene, four in one["strict"]["scenes"].items()}
            for one in (results["network"], row)
        ]
        low, high = difference(*counts)
        lines.append(f"- F1 of the shipped network less that of {name}: [{low:+.3f}, {high:+.3f}] over the same draws.")
    return lines


def _classes(network: dict[str, Any]) -> str:
    rows = []
    for number, (debris, either, pixels) in network["flagged_by_class"].items():
        rows.append([CLASS_NAMES[int(number)], str(pixels), f"{debris} ({debris / pixels:.2%})",
                     f"{either} ({either / pixels:.2%})"])  # fmt: skip
    return (
        "## What the shipped model takes for what\n\n"
        + _table(["labelled as", "pixels", "marked as debris", "marked as debris or other floating matter"], rows)
        + f"\nUnlabelled pixels marked as debris: {network['unlabelled_flagged_percent']:.4f} %; of those farther than "
        f"3 pixels from labelled\nfloating matter {network['unlabelled_far_flagged_percent']:.4f} % (goal: at most "
        "0.010 %).\n"
    )


def _calibration(network: dict[str, Any]) -> str:
    rows = [[f"{n / 10:.1f}-{(n + 1) / 10:.1f}", str(pixels), f"{mean:.3f}", f"{share:.3f}"]
            for n, (pixels, mean, share) in enumerate(network["reliability"])]  # fmt: skip
    return (
        "## Calibration\n\n"
        f"Expected calibration error of the probability of debris, labelled pixels: {network['strict']['ece']:.5f}; "
        f"of debris or other floating matter: {network['floating']['ece']:.5f} (goal: at most 0.05). Most labelled "
        "pixels are clear and near 0, which makes this error small; the table shows the rest.\n\n"
        + _table(["probability", "labelled pixels", "mean probability", "share of debris"], rows)
        + "\n![Share of debris against probability](accuracy/reliability.svg)\n"
    )


def _practice(practice: dict[str, Any]) -> str:
    rows = [[name, str(row["tiles"]), f"{row['water_km2']:.0f}", str(row["false_detections"]),
             f"{row['per_100_km2']:.1f}"] for name, row in practice.items()]  # fmt: skip
    lines = []
    for name, row in practice.items():
        where = sorted(row["false_pixels_by_class"].items(), key=lambda item: -item[1])[:5]
        lines.append(f"- {name}: " + ", ".join(f"{CLASS_NAMES[int(n)]} {count}" for n, count in where))
    return (
        "## Practice tiles without debris\n\nTiles of 256 x 256 pixels. The first two kinds hold far more of all "
        "this than the sea does (27 ships and boats on 100 km²), the third about one. The goal, at most one false "
        "detection per 100 km², speaks of a thousand tiles and does not say how full they are.\n\n"
        + _table(["what they hold", "tiles", "water, km²", "false detections", "per 100 km²"], rows)
        + "\nFalse pixels, by what is there:\n\n" + "\n".join(lines) + "\n"
    )  # fmt: skip


def _has_other_thresholds(results: dict[str, Any]) -> bool:
    """Whether both sections tell of them: sections are measured one by one, and older ones do not."""
    practice = results.get("practice", {}).values()
    counted = practice and all("per_100_km2_at_thresholds" in row for row in practice)
    return bool(counted and "at_thresholds" in results.get("network", {}))


def _thresholds(network: dict[str, Any], practice: dict[str, Any]) -> str:
    """What the shipped model does at thresholds that a person may set instead of its own."""
    kinds = [practice[name]["per_100_km2_at_thresholds"] for name in (BUSY, QUIET)]
    rows = [[f"{threshold:.2f}", *(f"{value:.3f}" for value in found), *(f"{count:.1f}" for count in counts)]
            for (threshold, *found), *counts in zip(network["at_thresholds"], *kinds, strict=True)]  # fmt: skip
    return (
        "## Other thresholds\n\nWhat the shipped model does where THRESHOLD is set, or the results panel's slider is "
        "moved: strict protocol on the 233 patches, and false detections per 100 km² of the practice tiles above. Its "
        f"own threshold is {network['strict']['threshold']:.3f}; nothing was chosen by this table.\n\n"
        + _table(["threshold", "F1", "precision", "recall", "false, busy water", "false, quiet sea"], rows)
    )


def _coast(coast: dict[str, Any]) -> str:
    rows = [[f"{least:.2f}", f"{pixels:,}", f"{100 * marked / max(pixels, 1):.0f} %"]
            for least, pixels, marked in coast["visible"]]  # fmt: skip
    return (
        f"## A real coast without labels\n\nAccra, {coast['scene'][:10]}, level {coast['level']} (on which no model "
        "was trained), by `debris:detect`'s own way, masks of land and cloud included. Marked: "
        f"{coast['floating']:,} pixels of other floating matter, {coast['debris']:,} of debris. Of the pixels that "
        "stand out at sea (FDI above the median of 41 x 41 pixels, farther than 30 pixels from land):\n\n"
        + _table(["FDI above its surroundings, at least", "pixels", "of them marked"], rows)
        + f"\nMarked within 15 pixels of the land, which is cut out of the image: {coast['near_shore']:,}; of cloud at "
        f"sea: {coast['near_cloud']:,}. What stands out is no truth: waves and ships do too. Above the mask (orange "
        "other floating matter, magenta debris, grey cloud and bright surf, not observed) over colour infrared, below "
        "FDI:\n\n"
        "![Accra](accuracy/coast.jpg)\n\nContains modified Copernicus Sentinel data 2018.\n"
    )


def _loso(loso: dict[str, Any]) -> str:
    rows = [[protocol, *_figures(loso[protocol])[:-1]] for protocol in ("strict", "floating")]
    scenes = []
    for name, counts in loso["strict"]["scenes"].items():
        tp, fp, fn, _ = counts
        scenes.append([name, str(tp + fn), str(tp), str(fp), str(fn), f"{loso['thresholds'][name]['strict']:.3f}"])
    return (
        "## Leave-one-scene-out\n\nThe shipped model, trained on with the labels of all scenes but one for 160 steps; "
        "one seed. Each scene's threshold is that of best F1 over the other scenes.\n\n"
        + _table(["protocol", *HEAD[:-1]], rows)
        + "\n"
        + _table(["scene left out", "debris pixels", "found", "false", "missed", "threshold"], scenes)
        + "\nGoal: strict F1 at least 0.88. Measured by `python -m tools.leave_one_scene_out` and `python -m "
        "tools.accuracy loso`; `make accuracy` keeps it as it is.\n"
    )


def _ablation(rows: list[dict[str, Any]]) -> str:
    table = []
    for row in rows:
        low, high = row["interval"]
        table.append([row["name"], f"{row['f1']:.3f} [{low:.3f}, {high:.3f}]",
                      ", ".join(f"{f1:.3f}" for f1 in row["seeds"]), f"{row['precision']:.3f}", f"{row['recall']:.3f}",
                      f"{row['practice_f1']:.3f}", f"{row['recall_real']:.3f}"])  # fmt: skip
    return (
        "## Ablation\n\nMeasured with boosted trees on windows (LightGBM), not with the network, which takes too long "
        "to train so often on two cores:\neach row leaves one thing out, three seeds, thresholds by the rule. Strict "
        "protocol on the 233 patches. Nothing was chosen by it.\n\n"
        + _table(["training", "strict F1, mean", "by seed", "precision", "recall", "practice F1", "real recall"],
                 table)
        + "\nMeasured by `python -m tools.accuracy ablation`; `make accuracy` keeps it as it is.\n"
    )  # fmt: skip


def _pictures(pictures: dict[str, str]) -> str:
    lines = ["## Pictures\n\nOf the patches that hold debris, by strict F1 of the shipped model. From the left: colour "
             "infrared (B8, B4, B3), labels (red debris,\norange and yellow Sargassum, brown natural organic material, "
             "white foam, light blue ship, grey cloud, dark blue other), probability of debris, mask (red debris, "
             "orange other floating matter).\n"]  # fmt: skip
    for which, name in pictures.items():
        lines.append(f"The {which}, {name}:\n\n![The {which} patch](accuracy/{which}.png)\n")
    lines.append("Images: MARIDA, Kikaki et al. 2022, CC BY 4.0; contain modified Copernicus Sentinel data.\n")
    return "\n".join(lines)


def _reproducing() -> str:
    return (
        "## Reproducing\n\n`make model` makes the tiles and trains the shipped model and those of other seeds that "
        "share its thresholds; `make accuracy` measures it and writes this page. Both need MARIDA's images in "
        "`../shared/data` or in the folders named by `DATA` and `TEXTURES`.\n"
    )
