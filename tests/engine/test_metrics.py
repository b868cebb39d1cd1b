"""Scores against counts done by hand and by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from engine.metrics import ScoreHistogram, Scores


def test_scores_of_known_counts():
    scores = Scores(0.5, tp=6, fp=2, fn=4, tn=88)
    assert (scores.precision, scores.recall) == (0.75, 0.6)
    assert scores.f1 == pytest.approx(2 / 3)
    assert scores.iou == pytest.approx(0.5)


def test_nothing_found_and_nothing_there_are_no_division_by_zero():
    empty = Scores(0.5, 0, 0, 0, 10)
    assert (empty.precision, empty.recall, empty.f1, empty.iou) == (0, 0, 0, 0)


@pytest.fixture
def pixels() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.random(5000) < 0.1
    return np.clip(rng.normal(0.3 + 0.3 * truth, 0.15), 0, 1).astype(np.float32), truth


def test_counts_in_parts_are_counts_of_the_whole(pixels):
    probability, truth = pixels
    whole, parts = ScoreHistogram(), ScoreHistogram()
    whole.add(probability, truth)
    for part in np.array_split(np.arange(len(truth)), 7):
        parts.add(probability[part], truth[part])
    assert np.array_equal(whole.positive, parts.positive)
    assert np.array_equal(whole.negative, parts.negative)


def test_scores_at_a_threshold_are_those_of_scikit_learn(pixels):
    sklearn = pytest.importorskip("sklearn.metrics")
    probability, truth = pixels
    histogram = ScoreHistogram()
    histogram.add(probability, truth)
    scores = histogram.at(0.45)
    flagged = probability >= 0.45
    assert scores.f1 == pytest.approx(sklearn.f1_score(truth, flagged), abs=0.005)
    assert scores.iou == pytest.approx(sklearn.jaccard_score(truth, flagged), abs=0.005)


def test_the_best_threshold_is_as_good_as_any(pixels):
    probability, truth = pixels
    histogram = ScoreHistogram()
    histogram.add(probability, truth)
    best = max(histogram.at(t).f1 for t in np.arange(0, 1, 0.005))
    assert histogram.best().f1 >= best - 0.002


def test_the_best_threshold_lies_between_classes_that_are_apart():
    histogram = ScoreHistogram()
    histogram.add(np.array([0.1, 0.9], dtype=np.float32), np.array([False, True]))
    assert histogram.best().threshold == pytest.approx(0.5, abs=0.02)
    assert histogram.best().f1 == 1


def test_weights_count_pixels_more_than_once(pixels):
    probability, truth = pixels
    twice, weighted = ScoreHistogram(), ScoreHistogram()
    twice.add(np.tile(probability, 2), np.tile(truth, 2))
    weighted.add(probability, truth, np.full(len(truth), 2, dtype=np.float32))
    assert np.allclose(twice.positive, weighted.positive)


def test_calibration_error_is_zero_for_true_probabilities_and_large_for_false_ones():
    rng = np.random.default_rng(1)
    probability = rng.random(200_000).astype(np.float32)
    honest, boastful = ScoreHistogram(), ScoreHistogram()
    honest.add(probability, rng.random(200_000) < probability)
    boastful.add(np.full(1000, 0.95, dtype=np.float32), rng.random(1000) < 0.5)
    assert honest.calibration_error() < 0.01
    assert boastful.calibration_error() == pytest.approx(0.45, abs=0.05)
    assert ScoreHistogram().calibration_error() == 0


def test_the_curve_starts_with_full_recall(pixels):
    probability, truth = pixels
    histogram = ScoreHistogram()
    histogram.add(probability, truth)
    thresholds, precision, recall = histogram.curve()
    assert recall[0] == 1
    assert precision[0] == pytest.approx(truth.mean())
    assert (np.diff(recall) <= 0).all()
    assert thresholds[-1] < 1
