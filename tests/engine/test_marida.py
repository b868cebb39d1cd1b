"""Patches in MARIDA's layout are read as any raster: scale, offset and no-data of their files count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from training_data import marida_folder

from engine.bands import MARIDA_ORDER
from engine.errors import ReflectanceError
from engine.marida import LabelledPatch, read_patch
from engine.raster import open_scene
from engine.tiling import Window

NAME = "S2_1-1-20_16PCC_0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return marida_folder(tmp_path, scenes=1)


def place_of(folder: Path) -> Path:
    return folder / "patches" / NAME.rsplit("_", 1)[0] / f"{NAME}.tif"


def rewrite(folder: Path, stored: np.ndarray, *, scale: float = 1.0, offset: float = 0.0, nodata: float | None = None):
    path = place_of(folder)
    with rasterio.open(path) as old:
        profile = {**old.profile, "dtype": stored.dtype, "nodata": nodata}
    with rasterio.open(path, "w", **profile) as new:
        new.write(stored)
        new.scales, new.offsets = [scale] * len(stored), [offset] * len(stored)


def reflectance_of(folder: Path) -> np.ndarray:
    with rasterio.open(place_of(folder)) as image:
        return image.read()


def patch_of(folder: Path) -> LabelledPatch:
    patch = read_patch(folder, NAME, MARIDA_ORDER)
    assert patch is not None
    return patch


def test_a_patch_cut_from_a_prepared_scene_has_its_scale_offset_and_no_data(folder: Path):
    reflectance = reflectance_of(folder)
    stored = np.round((reflectance + 0.1) * 1e4).astype(np.uint16)
    stored[:, :4], stored[3, 10, 10] = 0, 0
    rewrite(folder, stored, scale=1e-4, offset=-0.1, nodata=0)
    patch = patch_of(folder)
    assert not patch.observed[:4].any()
    assert not patch.observed[10, 10]
    assert patch.observed.sum() == 28 * 32 - 1
    np.testing.assert_allclose(patch.reflectance[:, patch.observed], reflectance[:, patch.observed], atol=1e-4)
    assert not patch.reflectance[:, ~patch.observed].any()
    with open_scene(str(place_of(folder)), MARIDA_ORDER) as scene:
        again, seen = scene.read(Window(0, 0, 32, 32))
    np.testing.assert_array_equal(patch.reflectance, again)
    np.testing.assert_array_equal(patch.observed, seen)


def test_no_data_of_a_patch_is_not_observed(folder: Path):
    stored = reflectance_of(folder)
    stored[:, 5:9] = -9999
    rewrite(folder, stored, nodata=-9999)
    patch = patch_of(folder)
    assert patch.observed.sum() == 28 * 32
    assert not patch.observed[5:9].any()
    assert not patch.classes[5:9].any()
    assert patch.reflectance.min() > -1


def test_a_fill_that_no_tag_tells_is_not_observed(folder: Path, caplog: pytest.LogCaptureFixture):
    stored = reflectance_of(folder)
    stored[:, 5:9] = -9999
    rewrite(folder, stored)
    for _ in range(2):
        patch = patch_of(folder)
        assert patch.observed.sum() == 28 * 32
        assert patch.reflectance.min() > -1
    assert caplog.text.count("cannot be reflectance") == 1


def test_digital_numbers_without_tags_are_taken_as_those_of_any_raster(folder: Path):
    reflectance = reflectance_of(folder)
    rewrite(folder, np.round(reflectance.clip(0) * 1e4).astype(np.uint16))
    np.testing.assert_allclose(patch_of(folder).reflectance, reflectance.clip(0), atol=1e-4)


def test_numbers_that_are_no_reflectance_are_refused_with_the_patch(folder: Path):
    stored = reflectance_of(folder)
    # A plausible file of the same kind was seen before; each is judged by itself.
    patch_of(folder)
    rewrite(folder, stored * np.float32(1e4))
    with pytest.raises(ReflectanceError, match=rf"{NAME} in .* cannot be used.*gdal_edit.py -scale"):
        patch_of(folder)


def test_marida_s_own_patches_stay_as_they_are_to_the_last_bit(folder: Path):
    stored = reflectance_of(folder)
    stored[2, 3, 4], stored[:, 6, 6] = -0.0, np.nan
    rewrite(folder, stored)
    patch = patch_of(folder)
    assert not patch.observed[6, 6]
    assert patch.observed.sum() == 32 * 32 - 1
    assert patch.reflectance[:, patch.observed].tobytes() == stored[:, patch.observed].tobytes()
