"""Choose a model's threshold on real images, by a rule, and write it into the model's card. A development-time script.

    python -m tools.set_threshold --data ../shared/data/marida_train --model FILE [--share 0.0001] [--apply]

Practice tiles are cleaner than the sea, and a threshold that is best there misses fainter matter in real images. The
rule: the lowest threshold at which at most `share` of the pixels without label are flagged, counting only those farther
than 3 pixels from labelled floating matter. Prints the curve (recall of labelled debris, precision among labelled
pixels, pixels without label flagged) and the choice, or ends with an error where no threshold keeps to it. Never run it
on images whose score is to be reported.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from pathlib import Path

import numpy as np
from scipy import ndimage

from engine import modelfile
from engine.evaluation import score_patches
from engine.metrics import ScoreHistogram
from engine.prediction import Predictor
from tools.thresholds import least_threshold

FLOATING = (1, 2, 3, 4, 9)
DISTANCE = 3


def main() -> None:
    """Score the patches, print the curve, write the card where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.0001, help="of pixels without label that may be flagged")
    parser.add_argument("--apply", action="store_true", help="write the threshold into the model's card")
    options = parser.parse_args()
    labelled, unlabelled = ScoreHistogram(), ScoreHistogram()
    for scored in score_patches(options.data, options.split, Predictor(options.model)):
        classes, observed = scored.patch.classes, scored.patch.observed
        floating = np.isin(classes, FLOATING)
        near = ndimage.distance_transform_edt(~floating) <= DISTANCE if floating.any() else floating
        known, far = observed & (classes > 0), observed & (classes == 0) & ~near
        labelled.add(scored.probability[0][known], classes[known] == 1)
        unlabelled.add(scored.probability[0][far], np.zeros(int(far.sum()), dtype=bool))
    for threshold in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9):
        print(json.dumps(_line(threshold, labelled, unlabelled)))
    if not unlabelled.negative.sum():
        parser.error(f"{options.data} has no pixels without label far from floating matter, so the rule says nothing.")
    chosen = least_threshold(unlabelled, options.share)
    print(json.dumps({"chosen": chosen, **_line(chosen, labelled, unlabelled)}))
    if options.apply:
        rule = f"at most {options.share:.3%} of unlabelled pixels of {options.data.name} flagged"
        _write(options.model, chosen, rule)


def _line(threshold: float, labelled: ScoreHistogram, unlabelled: ScoreHistogram) -> dict[str, float]:
    scores, rest = labelled.at(threshold), unlabelled.at(threshold)
    return {
        "threshold": threshold,
        "recall": round(scores.recall, 4),
        "precision_among_labelled": round(scores.precision, 4),
        "unlabelled_flagged_percent": round(100 * rest.fp / max(rest.fp + rest.tn, 1), 5),
    }


def _write(path: Path, threshold: float, rule: str) -> None:
    network, card, _ = modelfile.load(path)
    training = {**card.training, "threshold_rule": rule, "threshold_on_practice_tiles": card.threshold}
    staged = path.with_name(f".{path.name}.part")
    modelfile.save(staged, network, dataclasses.replace(card, threshold=round(threshold, 4), training=training))
    os.replace(staged, path)  # noqa: PTH105 - says what it does


if __name__ == "__main__":
    main()
