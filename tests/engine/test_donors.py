"""Real matter is cut out whole and pasted onto water, on whole 20 m cells; a pool of tiles is what its parts say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_data import marida_folder

from engine.errors import DataError
from engine.marida import LabelledPatch
from engine.practice.scene import SceneOptions
from engine.training.crops import LabelledCrops
from engine.training.donors import Donor, cut_donors, paste
from engine.training.pool import Part, PoolTiles, holds, make_pool
from engine.training.texture import FOLDS, TextureTiles


def _patch() -> LabelledPatch:
    """Dark water with one bright line of debris, whose 20 m bands come in blocks."""
    reflectance = np.full((11, 64, 64), 0.02, dtype=np.float32)
    classes = np.zeros((64, 64), dtype=np.uint8)
    classes[20, 11:17] = 1
    reflectance[:, 20, 11:17] += 0.05
    reflectance[4, 20:22, 10:18] = 0.06
    return LabelledPatch("S2_x_0", "S2_x", reflectance, np.ones((64, 64), bool), classes, np.zeros_like(classes))


def test_a_donor_is_the_excess_over_water_on_whole_cells():
    (donor,) = cut_donors([_patch()])
    assert donor.classes.shape[0] % 2 == donor.classes.shape[1] % 2 == 0
    assert (donor.classes == 1).sum() == 6
    assert donor.excess[7][donor.classes == 1] == pytest.approx(0.05, abs=1e-6)
    assert abs(donor.excess[7][donor.share == 0]).max(initial=0) < 1e-6


@pytest.mark.parametrize("seed", range(8))
def test_pasting_keeps_labels_and_blocks(seed: int):
    (donor,) = cut_donors([_patch()])
    image, classes = np.full((11, 32, 32), 0.03, dtype=np.float32), np.full((32, 32), 7, dtype=np.uint8)
    assert paste(np.random.default_rng(seed), donor, image, classes)
    assert (classes == 1).sum() == 6
    assert image[7][classes == 1].min() > image[7][classes == 7].max()
    assert set(np.unique(classes)) == {0, 1, 7}
    full = (image[4] > 0.035).reshape(16, 2, 16, 2).sum(axis=(1, 3))
    assert set(np.unique(full)) <= {0, 4}


def test_nothing_is_pasted_onto_land_or_beyond_the_tile():
    (donor,) = cut_donors([_patch()])
    land, classes = np.full((11, 32, 32), 0.3, dtype=np.float32), np.full((32, 32), 16, dtype=np.uint8)
    assert not paste(np.random.default_rng(0), donor, land, classes)
    assert (land == np.float32(0.3)).all()
    assert (classes == 16).all()
    wide = Donor(np.zeros((11, 4, 40), np.float32), np.ones((4, 40), np.float32), np.ones((4, 40), np.uint8))
    small = np.full((11, 16, 16), 0.03, dtype=np.float32)
    assert not paste(np.random.default_rng(0), wide, small, np.full((16, 16), 7, dtype=np.uint8))


def test_a_pool_is_the_same_in_any_number_of_processes(tmp_path: Path):
    parts = [
        Part(name="train-busy", count=5, size=32, seed=3, options=SceneOptions()),
        Part(name="validate-busy", count=3, size=32, seed=4, options=SceneOptions()),
    ]
    for name, processes in (("one", 1), ("two", 2)):
        make_pool(tmp_path / name, parts, processes, lambda share: None)
    one, two = PoolTiles(tmp_path / "one"), PoolTiles(tmp_path / "two")
    assert len(one) == 8
    assert one.numbers("validate").tolist() == [5, 6, 7]
    for index in range(8):
        assert np.array_equal(one.tile(index).reflectance, two.tile(index).reflectance)
        assert np.array_equal(one.tile(index).classes, two.tile(index).classes)


def test_parts_of_labelled_patches_keep_to_their_scene(tmp_path: Path):
    folder = marida_folder(tmp_path / "data", scenes=3, size=64)
    scenes = [f"S2_{number}-1-20_16PCC" for number in (1, 2, 3)]
    parts = [
        Part(name=f"labelled-{scene}", count=4, size=32, seed=5, options=SceneOptions(), textures=str(folder),
             scene=scene, labelled=True)
        for scene in scenes
    ]  # fmt: skip
    make_pool(tmp_path / "pool", parts, 1, lambda share: None)
    pool = PoolTiles(tmp_path / "pool")
    assert pool.numbers("labelled", without_scene=scenes[1]).tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    for index in range(len(pool)):
        tile = pool.tile(index)
        assert {1, 7} & set(np.unique(tile.classes).tolist())
        assert (tile.reflectance[7][tile.classes == 1] > tile.reflectance[7][tile.classes == 7].max(initial=0)).all()
    tensors = pool.tensors(torch.device("cpu"))
    assert [tuple(tensor.shape) for tensor in tensors] == [(12, 11, 32, 32), (12, 32, 32), (12, 32, 32)]
    assert np.array_equal(tensors[2][5].numpy(), pool.tile(5).classes)


def test_crops_of_a_scene_that_has_no_labels_are_refused(tmp_path: Path):
    folder = marida_folder(tmp_path / "data", scenes=1, size=64)
    with pytest.raises(DataError, match=r"no labelled patches of 32 pixels or more of S2_9-9-20_16PCC"):
        LabelledCrops(folder, 4, 32, 0, "S2_9-9-20_16PCC")


def test_folds_share_no_real_image(marida: Path):
    folder = marida.parent / "marida_train"
    if not folder.is_dir():
        pytest.skip("no marida_train beside the project")
    names = [
        {patch.name for patch in TextureTiles(folder, None, 1, 64, 0, SceneOptions(), fold)._patches}
        for fold in range(FOLDS)
    ]
    assert sum(len(one) for one in names) == len(set.union(*names))


def test_a_pool_is_told_from_one_that_was_made_otherwise(tmp_path: Path):
    parts = [Part(name="a", count=2, size=32, seed=3, options=SceneOptions())]
    folder = tmp_path / "pool"
    assert not holds(folder, parts)
    make_pool(folder, parts, 1, lambda share: None)
    assert holds(folder, parts)
    assert not holds(folder, [replace(parts[0], count=3)])
    assert not holds(folder, [replace(parts[0], seed=4)])
    (folder / "parts.json").unlink()
    assert not holds(folder, parts), "one that was broken off"


def test_a_pool_that_is_made_anew_takes_no_other_file_away(tmp_path: Path):
    parts = [Part(name="a", count=2, size=32, seed=3, options=SceneOptions())]
    (tmp_path / "notes.txt").write_text("mine")
    for seed in (3, 4):
        make_pool(tmp_path, [replace(parts[0], seed=seed)], 1, lambda share: None)
    assert holds(tmp_path, [replace(parts[0], seed=4)])
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_pool_that_was_broken_off_while_made_anew_is_not_complete(tmp_path: Path):
    parts = [Part(name="a", count=2, size=32, seed=3, options=SceneOptions())]
    make_pool(tmp_path, parts, 1, lambda share: None)

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_pool(tmp_path, parts, 1, stop)
    assert not holds(tmp_path, parts)
