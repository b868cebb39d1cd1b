"""Practice things look as Sentinel-2 shows them: no edge sharper than a pixel; ships move between the bands."""

from __future__ import annotations

import numpy as np
import pytest

from engine.practice.canvas import Canvas, Patch
from engine.practice.optics import MARGIN, soften
from engine.practice.spectra import choose_conditions
from engine.practice.vessels import DELAY, _hull, ship
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
