"""Spectra of practice things fit their size, their scene's water, and the ground that they are painted on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from engine.practice import mosaic
from engine.practice.canvas import LAND, Canvas, Patch
from engine.practice.fronts import paint_front
from engine.practice.mosaic import paint_mosaic
from engine.practice.optics import filled
from engine.practice.spectra import Conditions, choose_conditions
from engine.practice.things import matter
from engine.practice.vessels import ship
from engine.practice.water import BEYOND, Setting, inland
from engine.tiling import Window

B5, B6, B7, B8, B8A = 4, 5, 6, 7, 8
SHIP, ORGANIC = 5, 4


def _sea(side: int, level: float = 0.02) -> Canvas:
    window = Window(0, 0, side, side)
    ground = np.full((11, side, side), level, dtype=np.float32)
    return Canvas(window, ground, np.full((side, side), 7, np.uint8), np.zeros((side, side), dtype=bool))


def _weakness(spectra: np.ndarray) -> float:
    """Median of the 20 m bands over B8 of (count, 11) spectra of excess."""
    plain = spectra[spectra[:, B8] > 0.006]
    return float(np.median(plain[:, [B5, B6, B7, B8A]].mean(axis=1) / plain[:, B8]))


def test_a_point_fills_less_of_its_cells_than_a_line_and_a_line_less_than_a_mat():
    shares = {}
    for name, place in {"point": (4, 4), "line": (4, slice(None)), "mat": (slice(None), slice(None))}.items():
        cover = np.zeros((9, 9), dtype=np.float32)
        cover[place] = 1
        own = np.zeros((9, 9), dtype=bool)
        own[4, 4] = True
        shares[name] = filled(cover, own, 0.55)
    assert shares["point"] == pytest.approx(0.36, abs=0.03)
    assert shares["line"] == pytest.approx(0.64, abs=0.05)
    assert shares["mat"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("seed", range(6))
def test_small_matter_is_weaker_in_20_m_bands_than_a_mat(seed: int):
    conditions = choose_conditions(seed)

    def drawn(share: float) -> np.ndarray:
        rng = np.random.default_rng(seed)
        groups = [conditions.draw_floating(rng, "debris", 1, rng.random(20), share) for _ in range(40)]
        return np.concatenate(groups)

    small, large = _weakness(drawn(0.4)), _weakness(drawn(1.0))
    assert small < 0.75 * large
    assert 0.3 < small < 0.55


def test_single_points_of_debris_are_as_weak_in_20_m_bands_as_real_ones():
    """Medians of labelled debris in groups of three pixels at most: 0.48 in the patches, 0.55 in marida_train."""
    spectra = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        patch = matter(rng, choose_conditions(seed), "debris")
        own = patch.classes > 0
        if own.sum() <= 3:
            spectra.append(patch.spectra[own])
    assert 0.35 < _weakness(np.concatenate(spectra)) < 0.6


def test_half_of_the_groups_of_debris_have_a_faint_rim_of_mixed_water():
    rims = 0
    for seed in range(60):
        patch = matter(np.random.default_rng(seed), choose_conditions(seed), "debris")
        light, rim, own = patch.spectra[..., B8], patch.classes == 15, patch.classes == 1
        rims += bool(rim.any())
        assert not rim.any() or light[rim].max() < 0.4 * light[own].mean()
    assert 20 <= rims <= 40
    assert not (matter(np.random.default_rng(1), choose_conditions(1), "sargassum").classes == 15).any()


def test_a_rim_of_mixed_water_leaves_its_20_m_cell_to_the_debris():
    canvas, one = _sea(2), np.zeros((2, 2), dtype=np.float32)
    one[0] = 1
    classes = np.array([[1, 15], [0, 0]], dtype=np.uint8)
    canvas.paint(Patch(0, 0, one, np.full((2, 2, 11), 0.05, dtype=np.float32), classes, excess=True))
    assert canvas.classes[0].tolist() == [1, 15]
    assert canvas.own.tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize(("there", "left"), [(7, 15), (10, 15), (255, 15), (1, 0), (5, 0), (0, 0), (253, 0)])
def test_a_rim_of_mixed_water_takes_no_label_from_a_thing(there: int, left: int):
    """Beside labelled debris of a real image, nor where nobody knows what is there."""
    canvas, one = _sea(2), np.zeros((2, 2), dtype=np.float32)
    one[0, 0], canvas.classes[0, 0] = 1, there
    canvas.paint(
        Patch(0, 0, one, np.full((2, 2, 11), 0.004, dtype=np.float32), (15 * one).astype(np.uint8), excess=True)
    )
    assert canvas.classes[0, 0] == left


def test_classes_are_borrowed_from_the_scenes_that_may_be_seen():
    names = ("20-4-18_30VWH", "24-4-19_36JUN")
    conditions = choose_conditions(4, names)
    assert conditions.scenes == names
    assert {conditions.elsewhere(np.random.default_rng(seed), SHIP) for seed in range(20)} == set(names)


def test_a_signature_is_kept_as_its_excess_over_the_water():
    here = choose_conditions(11, ("4-9-16_16PCC",))
    brighter = Conditions(here.scene, here.seed, here.water + np.float32(0.02))
    for number in (SHIP, ORGANIC, 7):
        (mean, _), (lifted, _) = here.signature(number), brighter.signature(number)
        assert lifted - mean == pytest.approx(0.02, abs=1e-5)


def test_ships_of_one_scene_come_from_many():
    conditions, reach = replace(choose_conditions(3, ("19-9-18_16PCC",)), scenes=None), []
    for seed in range(60):
        patch = ship(np.random.default_rng(seed), conditions)
        reach.append(patch.spectra[patch.classes == SHIP, B8].mean())
    # In that scene itself ships have an excess of 0.014.
    assert np.median(reach) > 0.03


@pytest.mark.parametrize("hideable", [True, False])
def test_bright_water_hides_what_floats_and_no_ship(hideable: bool):
    canvas, one = _sea(2, 0.09), np.ones((1, 1), dtype=np.float32)
    spectra = np.full((1, 1, 11), 0.05, dtype=np.float32)
    canvas.paint(Patch(0, 0, one, spectra, (5 * one).astype(np.uint8), excess=True, hideable=hideable))
    assert canvas.classes[0, 0] == (7 if hideable else 5)
    assert canvas.reflectance[B8, 0, 0] == pytest.approx(0.09 if hideable else 0.14)
    assert not ship(np.random.default_rng(1), choose_conditions(1)).hideable


def test_single_stones_of_a_mosaic_stay_as_bright_as_they_were(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mosaic, "_excess", lambda _s, _r, _n, count, _f: np.full((count, 11), 0.05, dtype=np.float32))
    monkeypatch.setattr(mosaic, "STONES", {1: 1.0})
    for seed in range(4):
        setting, canvas = Setting(seed, choose_conditions(seed), frozenset(), 96, 96), _sea(96)
        paint_mosaic(setting, canvas)
        assert (canvas.reflectance[B8] - 0.02)[canvas.classes == 1].mean() == pytest.approx(0.05, rel=0.1)


def test_clouds_and_ships_of_a_mosaic_stand_out_from_bright_water_and_debris_does_not():
    setting, canvas = Setting(3, choose_conditions(3), frozenset(), 96, 96), _sea(96, 0.08)
    paint_mosaic(setting, canvas)
    seen = set(np.unique(canvas.classes).tolist())
    assert seen & {5, 6, 14}
    assert not seen & {1, 2, 3}


def test_matter_on_land_beside_a_front_does_not_light_the_water():
    setting = next(
        one for seed in range(200) if (one := Setting(seed, choose_conditions(seed), frozenset(), 96, 96))
        and (shore := inland(one, Window(0, 0, 96, 96))) is not None and 0.3 < (shore > 0).mean() < 0.7
    )  # fmt: skip
    canvas, side = _sea(96), 96 + 2 * BEYOND
    shore = inland(setting, canvas.window)
    assert shore is not None
    land = shore > 0.1
    canvas.classes[land] = LAND
    # A front that follows the shore, three pixels inland.
    wide = inland(setting, canvas.window.wider(BEYOND))
    assert wide is not None and wide.shape == (side, side)
    before = canvas.reflectance.copy()
    paint_front(setting, canvas, (wide - 3).astype(np.float32), ["debris"])
    assert np.array_equal(canvas.reflectance, before)
    paint_front(setting, canvas, (wide + 12).astype(np.float32), ["debris"])
    assert not np.array_equal(canvas.reflectance[:, ~land], before[:, ~land])
    assert np.array_equal(canvas.reflectance[:, ndimage.binary_erosion(land)], before[:, ndimage.binary_erosion(land)])
