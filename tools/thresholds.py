"""The rule that sets a model's temperature and thresholds, from practice tiles and held-out real images.

Neither can be had from one kind of pixels alone: practice tiles have labels of all classes, but are painted; of real
images nobody labelled the ships, clouds and waves, and of debris only some. So half the weight is on each: of the
negatives on practice ones, weighted as MARIDA's train and val labels are frequent, and on unlabelled pixels of the
held-out real images; of the positives on practice ones and on labelled real ones. The threshold is that of best F1,
raised where need be until at most 0.010 % of those unlabelled pixels are debris. They are the ones that training takes
for negatives of debris (`engine.training.texture`): not near labelled floating matter, and no bright continuation of
it, since that is debris which nobody labelled. They may well be other floating matter, so the threshold of that has
practice negatives only.

The models of a recipe that differ in seed hold out different folds of the real images, some of few labelled pixels. So
they share their thresholds, as in cross-validation: what each of them says of its own fold is added up. Models that
learnt from each other's mean are no more quite blind to their folds, which other teachers saw.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from engine import modelfile
from engine.bands import MARIDA_ORDER
from engine.errors import TrainingError
from engine.evaluation import POSITIVE
from engine.marida import LabelledPatch, patch_names, read_patch
from engine.metrics import Counts, ScoreHistogram, Scores
from engine.practice.scene import Tile
from engine.prediction import Predictor
from engine.training.data import TileSource
from engine.training.pool import PoolTiles
from engine.training.texture import EDGE, FOLDS, WEAK, fold_of, with_weak
from engine.training.validation import Reading, count_classes, fit_temperature, validate

__all__ = [
    "MOST_UNLABELLED",
    "Calibration",
    "Choice",
    "Seen",
    "calibrate",
    "choose",
    "choose_together",
    "far_unlabelled",
    "least_threshold",
    "negatives",
]

MOST_UNLABELLED = 1e-4
DISTANCE = 3
BATCH = 16


@dataclass(frozen=True)
class Calibration:
    """What the rule gives."""

    debris: float
    floating: float
    temperature: float
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """Thresholds, and the two that the one of debris is the greater of: of best F1, and by unlabelled pixels."""

    debris: float
    floating: float
    best: float
    least: float


@dataclass(frozen=True)
class Seen:
    """What a detector says of the pixels that the rule looks at."""

    practice: dict[str, ScoreHistogram]
    """By protocol, weighted as MARIDA's labels are frequent."""
    real: dict[str, ScoreHistogram]
    """Labelled pixels of the fold that it held out, by protocol."""
    unlabelled: ScoreHistogram
    """Pixels of that fold without label that most likely are no debris."""


class _Some(TileSource):
    """Some tiles of a pool."""

    def __init__(self, pool: PoolTiles, numbers: Sequence[int]) -> None:
        self._pool, self._numbers = pool, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def tile(self, index: int) -> Tile:
        """Tile number `index` of them."""
        return self._pool.tile(int(self._numbers[index]))


def far_unlabelled(classes: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Observed pixels without label, farther than 3 pixels from labelled floating matter."""
    floating = np.isin(classes, POSITIVE["floating"])
    near = ndimage.distance_transform_edt(~floating) <= DISTANCE if floating.any() else floating
    return np.asarray(observed & (classes == 0) & ~near)


def negatives(patch: LabelledPatch) -> np.ndarray:
    """Observed pixels without label that training takes for negatives of debris: (height, width), bool."""
    return np.asarray(patch.observed & np.isin(with_weak(patch.classes, patch.reflectance), (WEAK, EDGE)))


def calibrate(paths: Sequence[Path], pool: PoolTiles, textures: Path) -> list[Calibration]:
    """Temperatures of the models at `paths`, each its own, and thresholds, which they share.

    Args:
        paths: models of one recipe and of different seeds; a seed's fold of the real images was held out.
        pool: holds practice tiles to validate on.
        textures: the real images.

    Raises:
        ValueError: two of them held out the same fold, which would count twice.
    """
    folds = [modelfile.read_card(path).training["seed"] % FOLDS for path in paths]
    if len(set(folds)) < len(folds):
        raise ValueError(f"The models held out the folds {folds}: name models of seeds that differ modulo {FOLDS}.")
    looked = [_look(path, pool, textures) for path in paths]
    choice = choose_together([seen for seen, _, _ in looked])
    return [
        Calibration(choice.debris, choice.floating, temperature, _metrics(seen, choice, flagged, len(paths)))
        for seen, temperature, flagged in looked
    ]


def _look(path: Path, pool: PoolTiles, textures: Path) -> tuple[Seen, float, dict[int, float]]:
    """What the rule asks for, the temperature, and how much of each class of practice tiles is flagged, of a model."""
    network, card, _ = modelfile.load(path)
    normalisation = torch.tensor(card.mean), torch.tensor(card.std)
    source = _Some(pool, pool.numbers("validate-busy").tolist())
    counts = count_classes(source, BATCH)
    reading = Reading(mixed=False)
    first = validate(network, source, card.classes, counts, normalisation, BATCH, reading=reading)
    temperature = fit_temperature(first.logits, first.target, first.weight)
    practice = validate(
        network, source, card.classes, counts, normalisation, BATCH, temperature=temperature, reading=reading
    )
    real, unlabelled = _real(path, temperature, textures, card.training["seed"] % FOLDS)
    seen = Seen({"debris": practice.debris, "floating": practice.floating}, real, unlabelled)
    return seen, temperature, practice.flagged


def _metrics(seen: Seen, choice: Choice, flagged: dict[int, float], models: int) -> dict[str, Any]:
    """For the model's card: its own figures at the thresholds, and how these came about."""
    debris, floating = choice.debris, choice.floating
    share = seen.unlabelled.at(debris)
    return {
        "data": "practice tiles of other signature scenes, pixels weighted as MARIDA's labels, and held-out images of "
        "marida_train; recall_real is that of their labelled debris",
        "debris": {**_figures(seen.practice["debris"].at(debris)),
                   "recall_real": round(seen.real["debris"].at(debris).recall, 4),
                   "pixels_real": int(seen.real["debris"].positive.sum()),
                   "ece": round(seen.practice["debris"].calibration_error(), 5),
                   "unlabelled_flagged_share": share.fp / max(share.fp + share.tn, 1),
                   "best_threshold": choice.best, "least_threshold": choice.least,
                   "rule_f1": round(_of_debris(seen).at(debris).f1, 4), "thresholds_of_models": models},
        "floating": {**_figures(seen.practice["floating"].at(floating)),
                     "recall_real": round(seen.real["floating"].at(floating).recall, 4)},
        "flagged_share_by_class": {str(n): round(share, 5) for n, share in flagged.items()},
    }  # fmt: skip


def choose_together(seen: Sequence[Seen]) -> Choice:
    """The thresholds that several detectors share."""
    practice, real = (
        {name: ScoreHistogram.sum_of([getattr(one, kind)[name] for one in seen]) for name in ("debris", "floating")}
        for kind in ("practice", "real")
    )
    return choose(Seen(practice, real, ScoreHistogram.sum_of([one.unlabelled for one in seen])))


def choose(seen: Seen) -> Choice:
    """The rule itself."""
    debris = _of_debris(seen)
    least, best = least_threshold(seen.unlabelled, MOST_UNLABELLED), debris.best().threshold
    floating = _joined(seen.practice["floating"], seen.real["floating"], None).best().threshold
    chosen = round(max(best, least), 4)
    return Choice(chosen, round(floating, 4), best, least)


def _of_debris(seen: Seen) -> ScoreHistogram:
    """All pixels of the rule for debris, as they weigh in it."""
    return _joined(seen.practice["debris"], seen.real["debris"], seen.unlabelled)


def least_threshold(unlabelled: ScoreHistogram, most: float) -> float:
    """The lowest threshold at which at most that share of the unlabelled pixels is flagged; 0 where there are none.

    Raises:
        TrainingError: there is no such threshold below 1.
    """
    flagged = np.cumsum(unlabelled.negative[::-1])[::-1] / max(unlabelled.negative.sum(), 1)
    within = np.flatnonzero(flagged <= most)
    if not len(within):
        raise TrainingError(
            f"{flagged[-1]:.3%} of the unlabelled pixels have a probability above {1 - 1 / unlabelled.bins:g}, so no "
            f"threshold flags at most {most:.3%} of them: no threshold is chosen. Look at what the model takes for "
            "debris there, or train it longer."
        )
    return int(within[0]) / unlabelled.bins


def _figures(scores: Scores) -> dict[str, float]:
    return {name: round(getattr(scores, name), 4) for name in ("f1", "precision", "recall", "iou")}


def _joined(practice: ScoreHistogram, real: ScoreHistogram, unlabelled: ScoreHistogram | None) -> ScoreHistogram:
    """Positives of both in equal weight, and so negatives, where unlabelled pixels are such."""
    result = ScoreHistogram(practice.bins)
    result.positive = _halves(practice.positive, real.positive)
    result.negative = practice.negative if unlabelled is None else _halves(practice.negative, unlabelled.negative)
    return result


def _halves(practice: Counts, real: Counts) -> Counts:
    """Both in equal weight, of the first one's sum; the first alone where there are none of the second."""
    if not real.sum():
        return practice
    return 0.5 * practice + 0.5 * practice.sum() / real.sum() * real


def _real(
    path: Path, temperature: float, textures: Path, fold: int
) -> tuple[dict[str, ScoreHistogram], ScoreHistogram]:
    """Histograms of labelled pixels by protocol, and of unlabelled ones, of the images of a fold."""
    predictor = Predictor(path)
    predictor.card = dataclasses.replace(predictor.card, temperature=temperature)
    labelled, unlabelled = {"debris": ScoreHistogram(), "floating": ScoreHistogram()}, ScoreHistogram()
    for number, name in enumerate(patch_names(textures)):
        patch = read_patch(textures, name, MARIDA_ORDER) if fold_of(number) == fold else None
        if patch is None:
            continue
        probability = predictor.probabilities(patch.reflectance[None], patch.observed[None])[0]
        known, far = patch.observed & (patch.classes > 0), negatives(patch)
        truth = patch.classes[known]
        labelled["debris"].add(probability[0][known], truth == 1)
        labelled["floating"].add(probability.sum(axis=0)[known].clip(0, 1), np.isin(truth, POSITIVE["floating"]))
        unlabelled.add(probability[0][far], np.zeros(int(far.sum()), dtype=bool))
    return labelled, unlabelled
