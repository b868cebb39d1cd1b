"""Where not to look: land and cloud out, debris in, window by window as in one piece."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from engine.bands import MARIDA_ORDER
from engine.errors import BandError, RequestError
from engine.practice.scene import PracticeScene, SceneOptions
from engine.sentinel2.masks import CLOUD, LAND, LOOK, NO_DATA, GlintMeter, MaskOptions, reason_mask, reasons_from_flags
from engine.tiling import Window

# Typical reflectances, in MARIDA's order of bands.
WATER = (0.044, 0.036, 0.024, 0.017, 0.014, 0.014, 0.016, 0.013, 0.014, 0.008, 0.005)
FOREST = (0.03, 0.03, 0.05, 0.03, 0.07, 0.2, 0.25, 0.28, 0.29, 0.15, 0.07)
SAND = (0.15, 0.18, 0.24, 0.29, 0.31, 0.32, 0.34, 0.35, 0.36, 0.45, 0.4)
CLOUDS = (0.42, 0.42, 0.4, 0.42, 0.43, 0.43, 0.44, 0.44, 0.45, 0.38, 0.3)
DEBRIS = (0.05, 0.07, 0.065, 0.06, 0.045, 0.045, 0.05, 0.075, 0.05, 0.03, 0.018)
SARGASSUM = (0.037, 0.039, 0.046, 0.044, 0.08, 0.1, 0.125, 0.124, 0.126, 0.05, 0.02)
# As bright in B11 as the driest matter of the labelled pixels, and brighter there than in B3.
DRY_MATTER = (0.04, 0.05, 0.06, 0.07, 0.08, 0.1, 0.11, 0.13, 0.13, 0.15, 0.08)

CALM = MaskOptions(shore_pixels=0, cloud_collar=0)


def canvas(height: int = 120, width: int = 120) -> np.ndarray:
    return np.broadcast_to(np.array(WATER, dtype=np.float32)[:, None, None], (11, height, width)).copy()


def paint(image: np.ndarray, rows: slice, cols: slice, spectrum: tuple[float, ...]) -> None:
    image[:, rows, cols] = np.array(spectrum, dtype=np.float32)[:, None, None]


def mask_of(image: np.ndarray, options: MaskOptions | None = None) -> np.ndarray:
    return reason_mask(image, MARIDA_ORDER, np.ones(image.shape[1:], dtype=bool), options=options)


def test_open_water_is_looked_at() -> None:
    assert (mask_of(canvas()) == LOOK).all()


@pytest.mark.parametrize("ground", [FOREST, SAND])
def test_land_and_its_shore(ground: tuple[float, ...]) -> None:
    image = canvas()
    paint(image, slice(0, 40), slice(None), ground)
    for shore in (0, 1, 3):
        mask = mask_of(image, MaskOptions(shore_pixels=shore))
        assert (mask[: 40 + shore] == LAND).all()
        assert (mask[40 + shore :] == LOOK).all()


def test_cloud_and_its_collar() -> None:
    image = canvas()
    paint(image, slice(50, 70), slice(50, 70), CLOUDS)
    for collar in (0, 5):
        mask = mask_of(image, MaskOptions(cloud_collar=collar))
        flags = np.zeros((120, 120), dtype=bool)
        flags[50:70, 50:70] = True
        rounded = ndimage.distance_transform_edt(~flags) <= collar
        # A disk does not fill a square's very corners.
        assert (mask[rounded] == CLOUD).mean() > 0.98
        assert (mask[~rounded] == LOOK).all()
        assert mask[50 - collar, 60] == mask[60, 69 + collar] == CLOUD


@pytest.mark.parametrize("matter", [DEBRIS, SARGASSUM, DRY_MATTER])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 100), (3, 60), (7, 7), (8, 30)])
def test_what_floats_is_looked_at(matter: tuple[float, ...], height: int, width: int) -> None:
    image = canvas()
    paint(image, slice(60, 60 + height), slice(10, 10 + width), matter)
    assert (mask_of(image) == LOOK).all()


def test_thin_cloud_shows_in_a_clear_scene_alone() -> None:
    image = canvas()
    paint(image, slice(50, 80), slice(50, 80), (0.07, 0.065, 0.055, 0.05, 0.048, 0.048, 0.05, 0.048, 0.05, 0.04, 0.03))
    assert (mask_of(image) == LOOK).all()
    clear = MaskOptions().for_scene(image[1], image[2], image[9])
    assert (clear.cloud_b2, clear.cloud_b11) == pytest.approx((0.056, 0.033))
    assert mask_of(image, clear)[65, 65] == CLOUD
    hazy = MaskOptions().for_scene(image[1] + 0.04, image[2] + 0.04, image[9] + 0.035)
    assert hazy == MaskOptions()


def test_scenes_without_water_keep_their_levels() -> None:
    image = canvas()
    paint(image, slice(None), slice(None), SAND)
    assert MaskOptions().for_scene(image[1], image[2], image[9]) == MaskOptions()


def test_a_ship_is_no_cloud() -> None:
    image = canvas()
    paint(image, slice(60, 64), slice(40, 60), CLOUDS)
    assert (mask_of(image) == LOOK).all()


def test_a_pier_that_hangs_on_land_is_land_up_to_its_reach() -> None:
    image = canvas()
    paint(image, slice(0, 40), slice(None), SAND)
    paint(image, slice(40, 80), slice(60, 62), SAND)
    mask = mask_of(image, CALM)
    assert (mask[40 : 40 + CALM.reach, 60:62] == LAND).all()
    assert (mask[40 + CALM.reach + 1 : 80, 60:62] == LOOK).all()


def test_windows_see_the_land_that_a_pier_hangs_on() -> None:
    image = canvas()
    paint(image, slice(0, 20), slice(None), SAND)
    paint(image, slice(20, 80), slice(60, 62), SAND)
    whole, halo = mask_of(image), MaskOptions().halo
    for row in range(20, 60):
        first = max(0, row - halo)
        part = mask_of(image[:, first : row + 10 + halo])
        np.testing.assert_array_equal(part[row - first :][:10], whole[row : row + 10])


def test_land_under_a_clouds_collar_stays_land() -> None:
    image = canvas()
    paint(image, slice(0, 40), slice(None), FOREST)
    paint(image, slice(43, 60), slice(40, 80), CLOUDS)
    mask = mask_of(image)
    assert (mask[:40] == LAND).all()
    assert (mask[41:43, 45:75] == CLOUD).all()


def test_no_data_goes_first_and_makes_no_shore() -> None:
    image = canvas()
    image[:, :, :30] = 0
    observed = image[0] != 0
    mask = reason_mask(image, MARIDA_ORDER, observed)
    assert (mask[:, :30] == NO_DATA).all()
    assert (mask[:, 30:] == LOOK).all()


def test_a_strip_of_beach_beside_no_data_is_land() -> None:
    image = canvas()
    image[:, :40] = 0
    paint(image, slice(40, 43), slice(None), SAND)
    mask = reason_mask(image, MARIDA_ORDER, image[0] != 0, options=CALM)
    assert (mask[:40] == NO_DATA).all()
    assert (mask[40:43] == LAND).all()
    assert (mask[43:] == LOOK).all()


def test_cirrus_from_b10() -> None:
    image = np.concatenate([canvas(), np.full((1, 120, 120), 0.001, dtype=np.float32)])
    image[11, 40:80, 40:80] = 0.02
    mask = reason_mask(image, (*MARIDA_ORDER, "B10"), np.ones((120, 120), dtype=bool), options=CALM)
    assert mask[60, 60] == CLOUD
    assert mask[10, 10] == LOOK


def test_the_products_own_cloud_mask_is_added() -> None:
    own = np.zeros((120, 120), dtype=bool)
    own[20:40, 20:40] = True
    mask = reason_mask(canvas(), MARIDA_ORDER, np.ones((120, 120), dtype=bool), cloud=own, options=CALM)
    assert mask[30, 30] == CLOUD
    assert mask[60, 60] == LOOK


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, NO_DATA), (1, NO_DATA), (2, LOOK), (3, CLOUD), (4, LAND), (5, LAND), (6, LOOK), (7, LOOK), (8, CLOUD),
        (9, CLOUD), (10, CLOUD), (11, CLOUD),
    ],
)  # fmt: skip
def test_scene_classification(number: int, expected: int) -> None:
    classes = np.full((120, 120), 6, dtype=np.uint8)
    classes[40:80, 40:80] = number
    mask = reason_mask(canvas(), MARIDA_ORDER, np.ones((120, 120), dtype=bool), classes=classes, options=CALM)
    assert mask[60, 60] == expected
    assert mask[10, 10] == LOOK


@pytest.mark.parametrize("number", [4, 5, 7, 8, 9])
def test_matter_that_sen2cor_takes_for_land_or_cloud_is_looked_at(number: int) -> None:
    classes = np.full((120, 120), 6, dtype=np.uint8)
    classes[60:64, 10:110] = number
    classes[20:22, 20:22] = number
    mask = reason_mask(canvas(), MARIDA_ORDER, np.ones((120, 120), dtype=bool), classes=classes)
    assert (mask == LOOK).all()


def test_a_missing_band_is_named() -> None:
    with pytest.raises(BandError, match="B11 is needed too"):
        reason_mask(canvas()[:9], MARIDA_ORDER[:9], np.ones((120, 120), dtype=bool))


@pytest.mark.parametrize("wrong", [{"shore_pixels": -1}, {"cloud_collar": 1000}, {"core_width": 0}])
def test_options_are_checked(wrong: dict[str, int]) -> None:
    with pytest.raises(RequestError, match="must lie between"):
        MaskOptions(**wrong)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shore=st.integers(0, 4),
    collar=st.integers(0, 6),
    land_width=st.sampled_from([3, 5, 9]),
)
def test_window_by_window_as_in_one_piece(seed: int, shore: int, collar: int, land_width: int) -> None:
    """Windows that are read with a halo give the mask of the whole scene."""
    options = MaskOptions(shore_pixels=shore, cloud_collar=collar, core_width=land_width)
    rng = np.random.default_rng(seed)
    land, cloud, bright, observed = (
        ndimage.gaussian_filter(rng.normal(size=(150, 150)), smooth) > level
        for smooth, level in ((5, 0.02), (3, 0.1), (2, 0.05), (8, -0.08))
    )
    whole = reasons_from_flags(land, cloud, observed, options, bright)
    halo = options.halo
    for top in range(0, 150, 50):
        for left in range(0, 150, 50):
            rows = slice(max(0, top - halo), min(150, top + 50 + halo))
            cols = slice(max(0, left - halo), min(150, left + 50 + halo))
            part = reasons_from_flags(
                *(flags[rows, cols] for flags in (land, cloud, observed)), options, bright[rows, cols]
            )
            inner = part[top - rows.start :][:50, left - cols.start :][:, :50]
            np.testing.assert_array_equal(inner, whole[top : top + 50, left : left + 50])


def labelled(folder: Path) -> dict[int, np.ndarray]:
    """The mask's values at the labelled pixels of all patches, by class."""
    values: dict[int, list[np.ndarray]] = {}
    for path in sorted(folder.glob("patches/*/*.tif")):
        if path.stem.endswith(("_cl", "_conf")):
            continue
        with rasterio.open(path) as image, rasterio.open(path.with_name(f"{path.stem}_cl.tif")) as labels:
            reflectance, classes = image.read(), labels.read(1)
        observed = np.isfinite(reflectance).all(axis=0)
        if not classes.any():
            continue
        mask = reason_mask(np.nan_to_num(reflectance), MARIDA_ORDER, observed)
        for number in np.unique(classes):
            values.setdefault(int(number), []).append(mask[(classes == number) & observed])
    return {number: np.concatenate(parts) for number, parts in values.items()}


@pytest.mark.parametrize("name", ["marida", "marida_train"])
def test_real_debris_is_kept(marida: Path, name: str) -> None:
    found = labelled(marida.with_name(name))
    for number in (1, 2, 3, 4):
        assert (found[number] == LOOK).mean() >= 0.98, number
    if name == "marida":
        # Marine, sediment-laden, turbid, shallow water; wakes.
        for number in (7, 8, 10, 11, 14):
            assert (found[number] == LOOK).mean() >= 0.98, number
        assert (found[6] != LOOK).mean() > 0.6


def test_practice_scenes_with_coast_cloud_and_ships() -> None:
    """Pooled over two scenes, with the shore eroded as it is by default."""
    masks, classes, blues, swirs = [], [], [], []
    for seed in (16, 21):
        tile = PracticeScene(seed, 384, 384, SceneOptions(density=2.0)).render(Window(0, 0, 384, 384))
        masks.append(reason_mask(tile.reflectance, MARIDA_ORDER, tile.observed))
        classes.append(tile.classes)
        blues.append(tile.reflectance[1])
        swirs.append(tile.reflectance[9])
    mask, kinds, blue, swir = (np.stack(parts) for parts in (masks, classes, blues, swirs))
    debris = kinds == 1
    assert debris.sum() > 1000
    assert (mask[debris] == LOOK).mean() >= 0.98
    away = np.stack([ndimage.distance_transform_edt(kind != 16) > MaskOptions().shore_pixels + 1 for kind in classes])
    assert (mask[debris & away] == LOOK).mean() >= 0.995
    assert (mask[(kinds == 16) & (mask != NO_DATA)] == LOOK).mean() < 0.001
    assert (mask[kinds == 5] == LOOK).mean() > 0.9
    thick = (kinds == 6) & (blue > 0.1) & (swir > 0.08)
    assert thick.sum() > 500
    assert (mask[thick] != LOOK).mean() > 0.95


@pytest.mark.parametrize(("level", "glinting"), [(0.004, False), (0.03, True)])
def test_glint_meter(level: float, glinting: bool) -> None:
    rng = np.random.default_rng(4)
    swir = rng.normal(level, 0.002, (200, 100)).astype(np.float32)
    mask = np.where(rng.random((200, 100)) < 0.5, LOOK, LAND).astype(np.uint8)
    swir[mask == LAND] = 0.4
    meter = GlintMeter()
    for rows in np.split(np.arange(200), 8):
        meter.add(swir[rows], mask[rows])
    assert meter.median == pytest.approx(np.median(swir[mask == LOOK]), abs=1e-4)
    assert meter.glinting is glinting


def test_glint_of_no_water() -> None:
    meter = GlintMeter()
    meter.add(np.ones((5, 5), dtype=np.float32), np.full((5, 5), LAND, dtype=np.uint8))
    assert meter.median is None
    assert not meter.glinting
