"""The rule for thresholds, and what the accuracy page says of counts."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from engine import modelfile
from engine.bands import MARIDA_ORDER
from engine.errors import TrainingError
from engine.marida import LabelledPatch
from engine.metrics import ScoreHistogram
from engine.training.pool import PoolTiles
from tools import set_threshold
from tools.accuracy.coast import shares
from tools.accuracy.detectors import INDEX_COLUMNS, WINDOW_COLUMNS, Pixels, TreeDetector, boosted, features
from tools.accuracy.report import _table
from tools.accuracy.scoring import OTHER_THRESHOLDS, Measured, at_thresholds, difference, interval, reliability, scores
from tools.thresholds import (
    MOST_UNLABELLED,
    Seen,
    calibrate,
    choose,
    choose_together,
    far_unlabelled,
    least_threshold,
    negatives,
)


def _histogram(positive: list[float], negative: list[float]) -> ScoreHistogram:
    result = ScoreHistogram()
    for values, truth in ((positive, True), (negative, False)):
        result.add(np.array(values, dtype=np.float32), np.full(len(values), truth))
    return result


def _both(histogram: ScoreHistogram) -> dict[str, ScoreHistogram]:
    return {"debris": histogram, "floating": histogram}


def test_the_threshold_parts_positives_from_practice_negatives():
    practice, real = _histogram([0.9, 0.8], [0.1, 0.2]), _histogram([0.6], [])
    choice = choose(Seen(_both(practice), _both(real), _histogram([], [0.01] * 10)))
    assert 0.2 < choice.debris <= 0.6


def test_flagged_unlabelled_pixels_raise_the_threshold():
    practice, real = _histogram([0.9, 0.8], [0.1, 0.2]), _histogram([0.6], [])
    crowd = _histogram([], [0.7] * 50 + [0.0] * 10_000)
    choice = choose(Seen(_both(practice), _both(real), crowd))
    assert choice.debris > 0.7 > choice.best
    assert crowd.at(choice.debris).fp / 10_050 <= MOST_UNLABELLED
    assert choice.floating == pytest.approx(choice.best, abs=1e-3)


def test_where_no_threshold_keeps_to_the_share_none_is_chosen():
    practice, real = _histogram([0.9, 0.8], [0.1, 0.2]), _histogram([0.6], [])
    crowd = _histogram([], [1.0] * 50 + [0.0] * 10_000)
    with pytest.raises(TrainingError, match=r"0.498% of the unlabelled pixels .* no threshold is chosen"):
        choose(Seen(_both(practice), _both(real), crowd))
    assert least_threshold(crowd, 0.005) == pytest.approx(1 / crowd.bins)
    assert least_threshold(_histogram([], []), MOST_UNLABELLED) == 0


@pytest.mark.parametrize(("value", "message"), [(1.0, "no threshold is chosen"), (None, "no pixels without label")])
def test_a_model_keeps_its_threshold_where_the_rule_finds_none(
    toy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    value: float | None, message: str,
):  # fmt: skip
    classes = np.full((8, 8), 7 if value is None else 0, dtype=np.uint8)
    image, observed = np.zeros((11, 8, 8), dtype=np.float32), np.ones((8, 8), dtype=bool)
    patch = LabelledPatch("a_0", "a", image, observed, classes, classes)
    probability = np.full((2, 8, 8), value or 0.0, dtype=np.float32)
    scored = [SimpleNamespace(patch=patch, probability=probability)]
    monkeypatch.setattr(set_threshold, "score_patches", lambda *_: scored)
    model = Path(shutil.copy(toy_model, tmp_path))
    monkeypatch.setattr("sys.argv", ["set_threshold", "--data", str(tmp_path), "--model", str(model), "--apply"])
    with pytest.raises((TrainingError, SystemExit)) as raised:
        set_threshold.main()
    assert message in str(raised.value) + capsys.readouterr().err
    assert model.read_bytes() == toy_model.read_bytes()


def test_practice_negatives_have_half_the_weight_beside_real_ones():
    """Four of them at 0.7 outweigh three positives at 0.6; as half of the negatives they do not."""
    practice = _histogram([0.9] * 10 + [0.6] * 3, [0.7] * 4 + [0.0] * 96)
    alone = choose(Seen(_both(practice), _both(_histogram([], [])), _histogram([], [])))
    beside = choose(Seen(_both(practice), _both(_histogram([], [])), _histogram([], [0.0] * 1000)))
    assert 0.7 < alone.debris <= 0.9
    assert beside.debris <= 0.6
    assert beside.floating == alone.floating


def test_detectors_share_thresholds_by_all_that_they_held_out():
    """One has few labelled pixels, all plain: alone it would ask for more than the other's fainter ones have."""
    plain = Seen(
        _both(_histogram([0.9] * 10, [0.6] * 3 + [0.0] * 97)), _both(_histogram([0.95], [])), _histogram([], [])
    )
    faint = Seen(_both(_histogram([0.9] * 10, [0.0] * 100)), _both(_histogram([0.4] * 90, [])), _histogram([], []))
    shared = choose_together([plain, faint])
    assert choose(plain).debris > 0.6
    assert choose(faint).debris <= 0.4
    assert shared.debris <= 0.4
    assert choose_together([plain]) == choose(plain)


def test_two_models_of_one_fold_share_no_thresholds(toy_model: Path, tmp_path: Path):
    network, card, _ = modelfile.load(toy_model)
    paths = [tmp_path / f"{seed}.safetensors" for seed in (1, 6)]
    for path, seed in zip(paths, (1, 6), strict=True):
        modelfile.save(path, network, dataclasses.replace(card, training={"seed": seed}))
    with pytest.raises(ValueError, match=r"folds \[1, 1\]"):
        calibrate(paths, cast(PoolTiles, None), tmp_path)


def test_the_columns_that_an_ablation_drops_are_those_of_indices_and_windows():
    image = np.random.default_rng(0).random((11, 20, 20), dtype=np.float32)
    alone, windows = features(image, False), features(image, True)
    assert len(alone) == 11 + len(INDEX_COLUMNS)
    assert max(INDEX_COLUMNS) + 1 == min(WINDOW_COLUMNS)
    assert len(windows) == max(WINDOW_COLUMNS) + 1
    assert np.array_equal(windows[: len(alone)], alone)


def test_boosted_trees_tell_debris_from_water():
    rng = np.random.default_rng(1)
    table = rng.random((400, 15), dtype=np.float32)
    classes = np.where(table[:, 3] > 0.7, 1, 7)
    detector = TreeDetector(boosted(0), False)
    detector.fit(Pixels(table, classes, np.zeros(400, dtype=bool)))
    probability = detector.pixels(table)
    assert probability.shape == (400, 2)
    assert probability[classes == 1, 0].min() > 0.5 > probability[classes == 7, 0].max()


def test_far_means_more_than_three_pixels_from_labelled_floating_matter():
    classes = np.zeros((9, 9), dtype=np.uint8)
    classes[4, 4], classes[0, 0] = 3, 7
    far = far_unlabelled(classes, np.ones((9, 9), dtype=bool))
    assert not far[4, 1]
    assert far[4, 0]
    assert not far[0, 0]


def test_marks_on_a_coast_are_counted_by_where_they_are():
    mask, index = np.zeros((200, 200), dtype=np.uint8), np.zeros((200, 200), dtype=np.float32)
    mask[:60] = 255
    mask[150, 150] = 4
    for row, col, value, height in ((70, 10, 2, 0.03), (120, 20, 2, 0.03), (120, 60, 0, 0.03), (120, 90, 1, 0.012),
                                    (150, 140, 2, 0.03)):  # fmt: skip
        mask[row, col], index[row, col] = value, height
    found = shares(index, mask)
    assert found["visible"] == [[0.01, 3, 2], [0.02, 2, 1]]
    assert (found["near_shore"], found["near_cloud"]) == (1, 1)
    assert (found["floating"], found["debris"]) == (3, 1)


def test_scores_and_intervals_come_from_counts():
    found = {"a": np.array([8, 2, 2, 100]), "b": np.array([8, 2, 2, 100])}
    assert scores(found["a"])["f1"] == pytest.approx(0.8)
    assert interval(found) == [0.8, 0.8]
    worse = {"a": np.array([5, 5, 5, 100]), "b": np.array([5, 5, 5, 100])}
    assert difference(found, worse) == [0.3, 0.3]


def test_an_honest_probability_lies_on_the_line():
    rng = np.random.default_rng(0)
    p = rng.random(200_000).astype(np.float32)
    histogram = ScoreHistogram()
    histogram.add(p, rng.random(len(p)) < p)
    for pixels, mean, share in reliability(histogram):
        assert pixels > 15_000
        assert share == pytest.approx(mean, abs=0.02)


def _measured(row: list[tuple[float, int]]) -> Measured:
    """One row of pixels, each with its probability of debris and its class, by the threshold 0.5."""
    probability = np.array([[[p for p, _ in row]], [[0.0] * len(row)]], dtype=np.float32)
    classes = np.array([[number for _, number in row]], dtype=np.uint8)
    image, seen = np.zeros((11, *classes.shape), dtype=np.float32), np.ones(classes.shape, dtype=bool)
    measured = Measured({"strict": 0.5, "floating": 0.5})
    measured.add(LabelledPatch("S2_1_1_0", "S2_1_1", image, seen, classes, classes), probability)
    return measured


def test_other_thresholds_are_scored_from_the_same_pixels():
    apart = (0.0, 0)
    measured = _measured([(0.95, 1), apart, (0.55, 1), apart, (0.55, 7), apart, (0.15, 7)])
    found = {row[0]: row[1:] for row in at_thresholds(measured)}
    assert list(found) == list(OTHER_THRESHOLDS)
    assert found[0.1] == [0.6667, 0.5, 1]
    assert found[0.5] == [0.8, 0.6667, 1]
    assert found[0.6] == [0.6667, 1, 0.5]


def test_above_the_models_own_threshold_whole_groups_count_as_detect_marks_them():
    measured = _measured([(0.95, 1), (0.55, 1), (0.4, 1), (0.0, 0), (0.7, 7), (0.55, 7)])
    found = {row[0]: row[1:] for row in at_thresholds(measured)}
    assert found[0.4] == [0.75, 0.6, 1]
    assert found[0.6] == [0.5714, 0.5, 0.6667]
    assert found[0.9] == [0.8, 1, 0.6667]


def test_tables_are_markdown():
    assert _table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_edges_and_open_water_count_as_negatives_but_not_what_nobody_observed():
    reflectance = np.full((len(MARIDA_ORDER), 64, 64), 0.01, dtype=np.float32)
    reflectance[7, :, :20] = 0.3
    classes = np.zeros((64, 64), dtype=np.uint8)
    classes[32, 50] = 1
    observed = np.ones((64, 64), dtype=bool)
    observed[:, 60:] = False
    found = negatives(LabelledPatch("S2_1_1", "S2_1", reflectance, observed, classes, np.zeros_like(classes)))
    assert found[:, :40].all()
    assert not found[31:34, 49:52].any()
    assert not found[:, 60:].any()
