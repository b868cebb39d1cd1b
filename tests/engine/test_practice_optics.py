"""Practice things look as Sentinel-2 shows them: no edge sharper than a pixel; ships move between the bands."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from engine.practice import mosaic
from engine.practice.canvas import Canvas, Patch
from engine.practice.glint import _small_waves, glint
from engine.practice.mosaic import paint_mosaic
from engine.practice.optics import DELAY, MARGIN, soften
from engine.practice.spectra import choose_conditions
from engine.practice.vessels import _hull, ship
from engine.practice.water import Setting
from engine.tiling import Window

B2, B4, B8 = 1, 3, 7


def _column(excess: np.ndarray, band: int) -> float:
    """Centre of what is bright in a band, in pixels from the left."""
    weight = excess[..., band].clip(0)
    return float((weight.sum(axis=0) * np.arange(weight.shape[1])).sum() / weight.sum())


def _still(seed: int, speed: float) -> np.ndarray:
    """A hull of 12 x 3 pixels that heads to the right."""
    rng = np.random.default_rng(seed)
    return _hull(rng, choose_conditions(3), (12.0, 3.0), 0.0, 14, 0.5, speed)[0]


@pytest.mark.parametrize("seed", range(4))
def test_a_ship_moves_on_between_two_bands(seed: int):
    resting, sailing = _still(seed, 0.0), _still(seed, 10.0)
    moved = [_column(sailing, band) - _column(resting, band) for band in (B2, B8, B4)]
    # 10 m/s are a pixel a second: B4 sees the ship 1.005 s after B2, B8 0.264 s; hulls are drawn on quarter pixels.
    assert abs(moved[2] - moved[0]) == pytest.approx(DELAY[B4], abs=0.1)
    assert abs(moved[1] - moved[0]) == pytest.approx(DELAY[B8], abs=0.1)
    assert (moved[2] - moved[0]) * (moved[1] - moved[0]) > 0


def test_a_hull_is_dimmer_at_its_edge_than_inside():
    _, cover = _hull(np.random.default_rng(0), choose_conditions(3), (14.0, 5.0), 0.0, 16, 0.5, 0.0)
    across = cover[:, 16]
    assert across.max() == pytest.approx(1, abs=0.1)
    assert ((across > 0.1) & (across < 0.9)).sum() >= 2
    assert np.all(np.diff(across[: across.argmax()]) >= -1e-5)


def test_every_ship_has_pixels_of_its_own_about_as_bright_as_its_signature():
    ratios = []
    for seed in range(60):
        conditions = choose_conditions(seed)
        patch = ship(np.random.default_rng(seed), conditions)
        own = patch.classes == 5
        assert own.any()
        mean = conditions.signature(5)[0][B8] - conditions.water[B8]
        ratios.append(patch.spectra[own].mean(axis=0)[B8] / max(mean, 1e-3))
    assert 0.6 < np.median(ratios) < 1.3


@pytest.mark.parametrize(("measured", "owned"), [(True, True), (False, False)])
def test_only_measured_spectra_rule_their_20_m_cell(measured: bool, owned: bool):
    canvas = Canvas(
        Window(0, 0, 2, 2), np.full((11, 2, 2), 0.02, dtype=np.float32), np.full((2, 2), 7, np.uint8),
        np.zeros((2, 2), bool),
    )  # fmt: skip
    one = np.zeros((2, 2), dtype=np.float32)
    one[0, 0] = 1
    spectra = np.full((2, 2, 11), 0.1, dtype=np.float32)
    canvas.paint(Patch(0, 0, one, spectra, (5 * one).astype(np.uint8), excess=True, measured=measured))
    assert canvas.classes[0, 0] == 5
    assert canvas.own[0, 0] == owned


def test_softened_matter_spills_over_and_stays_as_bright_where_it_is_labelled():
    cover, spectra = np.zeros((5, 9), dtype=np.float32), np.zeros((5, 9, 11), dtype=np.float32)
    cover[2, 2:7], spectra[2, 2:7] = 1, 0.05
    spectra[2, 4] = 0.11
    patch = soften(
        np.random.default_rng(0), Patch(-2, -4, cover, spectra, np.where(cover > 0, 1, 0).astype(np.uint8), excess=True)
    )
    assert (patch.row, patch.col) == (-2 - MARGIN, -4 - MARGIN)
    own = patch.classes == 1
    assert own.sum() == 5
    assert patch.spectra[own, B8].mean() == pytest.approx(spectra[2, 2:7, B8].mean(), rel=1e-3)
    beside = patch.spectra[MARGIN + 1, MARGIN + 4, B8]
    assert 0.005 < beside < 0.8 * patch.spectra[MARGIN + 2, MARGIN + 4, B8]
    # The bright pixel has given to its neighbours.
    line = patch.spectra[MARGIN + 2, MARGIN + 2 : MARGIN + 7, B8]
    assert line[2] / line[1] < 0.9 * 0.11 / 0.05


def test_a_single_faint_point_is_not_blown_up():
    cover, spectra = np.ones((1, 1), dtype=np.float32), np.full((1, 1, 11), 0.02, dtype=np.float32)
    patch = soften(np.random.default_rng(1), Patch(0, 0, cover, spectra, np.ones((1, 1), np.uint8), excess=True))
    assert patch.spectra[patch.classes == 1, B8] == pytest.approx(0.02, rel=1e-3)
    assert patch.spectra[..., B8].max() == pytest.approx(0.02, rel=1e-3)


def test_small_waves_are_the_less_alike_the_longer_one_band_looks_after_another():
    waves = _small_waves(5, Window(0, 0, 200, 200), width=1.0, lasting=0.7)
    assert waves.std(axis=(1, 2)) == pytest.approx(1, abs=0.05)

    def alike(one: int, other: int) -> float:
        return float(np.corrcoef(waves[one].ravel(), waves[other].ravel())[0, 1])

    for band in (B8, B4):
        assert alike(B2, band) == pytest.approx(np.exp(-DELAY[band] / 0.7), abs=0.06)


def test_small_waves_are_as_strong_over_three_to_nine_pixels_as_within_three():
    """As on real glinting water, noise of the sensor aside; white noise has a third there."""
    wave = _small_waves(5, Window(0, 0, 200, 200), width=0.75, lasting=0.7)[B8]
    near, far = (ndimage.uniform_filter(wave, size)[20:-20, 20:-20] for size in (3, 9))
    assert 0.8 < (near - far).std() / (wave[20:-20, 20:-20] - near).std() < 1.6


def test_glint_has_no_seams():
    whole = glint(8, Window(0, 0, 60, 60), np.random.default_rng(1))
    part = glint(8, Window(30, 12, 20, 40), np.random.default_rng(1))
    assert np.allclose(part, whole[:, 30:50, 12:52], atol=1e-6)


def test_a_mosaics_stones_shine_beyond_their_edges_and_keep_labels_where_they_rule():
    setting = Setting(3, choose_conditions(3), frozenset(), 96, 96)
    ground = np.full((11, 96, 96), 0.02, dtype=np.float32)
    canvas = Canvas(
        Window(0, 0, 96, 96), ground.copy(), np.full((96, 96), 7, dtype=np.uint8), np.zeros((96, 96), dtype=bool)
    )
    paint_mosaic(setting, canvas)
    changed = np.abs(canvas.reflectance - ground)[B8] > 1e-6
    assert (canvas.classes[~changed] == 7).all()
    labelled, mixed = changed & (canvas.classes > 0), changed & (canvas.classes == 0)
    assert labelled.any()
    beside = ndimage.binary_dilation(labelled, iterations=2)
    assert mixed.sum() > 0.2 * labelled.sum()
    assert (mixed & beside).sum() > 0.9 * mixed.sum()


def test_a_faint_stone_beside_a_bright_one_keeps_no_label(monkeypatch: pytest.MonkeyPatch):
    """Cloud beside debris: what the optics bring over from the cloud outshines the debris at its edge."""
    bright = {1: 0.01, 6: 0.4}
    monkeypatch.setattr(
        mosaic, "_excess", lambda _s, _r, number, count: np.full((count, 11), bright[number], dtype=np.float32)
    )
    monkeypatch.setattr(mosaic, "STONES", {1: 0.5, 6: 0.5})
    monkeypatch.setattr(mosaic, "blur_of", lambda _: 0.7)
    setting = Setting(4, choose_conditions(4), frozenset(), 96, 96)
    classes = np.full((96, 96), 7, dtype=np.uint8)
    canvas = Canvas(
        Window(0, 0, 96, 96), np.full((11, 96, 96), 0.02, dtype=np.float32), classes, np.zeros((96, 96), dtype=bool)
    )
    paint_mosaic(setting, canvas)
    debris, cloud = canvas.classes == 1, canvas.classes == 6
    assert debris.sum() > 20 and cloud.sum() > 20
    assert not (debris & ndimage.binary_dilation(cloud)).any()
