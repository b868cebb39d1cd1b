"""How the default model is trained: what it draws and is taught, what its card says, and what sets its thresholds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from training_data import marida_folder

from engine import modelfile
from engine.practice.scene import SceneOptions
from engine.training.pool import Part, make_pool
from tools import calibrate_default_model
from tools.accuracy.leave_one_out import measure_scenes
from tools.default_model_data import labelled_recipe
from tools.default_model_training import ALL, CLEAN, Recipe, Trainer, taught
from tools.join_models import join_files
from tools.pooled_tiles import PooledTiles
from tools.train_default_model import train

CPU = torch.device("cpu")
SCENES = ["S2_1-1-20_16PCC", "S2_2-1-20_16PCC", "S2_3-1-20_16PCC"]


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled patches of three scenes."""
    return marida_folder(tmp_path_factory.mktemp("data") / "marida", scenes=3, patches=1, size=64)


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory, patches: Path) -> list[Path]:
    """Small pools that have the parts of the recipe: practice and textures, and labelled patches."""
    root, options = tmp_path_factory.mktemp("pools"), SceneOptions()
    names = ("train-busy", "train-sparse", "train-clear", "train-quiet", "train-texture-0", "train-texture-1")
    clean = [
        Part(name=name, count=4, size=32, seed=n, options=options, fold=int(name[-1]) if name[-1].isdigit() else None)
        for n, name in enumerate(names)
    ]
    labelled = [
        Part(name=f"{kind}-{scene}", count=3, size=32, seed=9, options=options, textures=str(patches), scene=scene,
             labelled=kind == "labelled")
        for scene in SCENES for kind in ("labelled", "painted")
    ]  # fmt: skip
    for name, parts in (("clean", clean), ("labelled", labelled)):
        make_pool(root / name, parts, 1, lambda share: None)
    return [root / "clean", root / "labelled"]


def test_the_shares_of_a_batch_are_whole():
    for shares in (CLEAN, ALL):
        assert sum(share for _, share in shares) == pytest.approx(1)


def test_labelled_parts_are_one_of_each_kind_a_scene(patches: Path):
    parts = labelled_recipe(patches)
    assert [(part.scene, part.labelled) for part in parts] == [(s, kind) for s in SCENES for kind in (True, False)]
    assert len({part.seed for part in parts}) == len(parts)


def test_numbers_run_through_all_pools_and_batches_find_their_tiles(pools: list[Path]):
    tiles = PooledTiles(pools, CPU)
    labelled = tiles.numbers(("labelled",), without_scene=SCENES[0])
    assert len(labelled) == 6
    assert labelled.min() >= len(tiles.pools[0])
    batch = tiles.batch(np.array([labelled[0], 0, labelled[1]]))
    own = [tiles.pools[0].tile(0), *(tiles.pools[1].tile(int(n) - len(tiles.pools[0])) for n in labelled[:2])]
    assert np.array_equal(batch.reflectance.numpy(), np.stack([tile.reflectance for tile in own]))
    assert np.array_equal(batch.classes.numpy(), np.stack([tile.classes for tile in own]))


def test_the_clean_track_draws_no_labelled_patch_and_not_its_fold(pools: list[Path]):
    trainer = Trainer(PooledTiles(pools, CPU), Recipe(seed=1, width=4, steps=1))
    drawn = set(trainer._draw(600).tolist())
    tiles = trainer.tiles
    assert not drawn & set(tiles.numbers(("labelled", "painted")).tolist())
    assert not drawn & set(tiles.pools[0].numbers("train-texture-1").tolist())
    assert drawn & set(tiles.pools[0].numbers("train-texture-0").tolist())


def test_a_scene_that_is_left_out_is_never_drawn(pools: list[Path]):
    recipe = Recipe(width=4, steps=1, patches=True, without_scene=SCENES[2])
    trainer = Trainer(PooledTiles(pools, CPU), recipe)
    drawn = trainer._draw(1000)
    names = [f"{kind}-{SCENES[2]}" for kind in ("labelled", "painted")]
    assert not set(drawn.tolist()) & set(trainer.tiles.numbers(names).tolist())
    assert np.isin(drawn, trainer.tiles.numbers(("labelled",))).mean() == pytest.approx(0.3, abs=0.01)


def test_cards_say_the_track_the_scenes_and_what_went_before(pools: list[Path], tmp_path: Path):
    tiles = PooledTiles(pools, CPU)
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train(tiles, Recipe(width=4, steps=2, batch_size=4), "one", first)
    recipe = Recipe(
        width=4, steps=1, batch_size=4, patches=True, without_scene=SCENES[0], start=first, teachers=(first,)
    )
    train(tiles, recipe, "two", second)
    clean, other = (modelfile.read_card(path).training for path in (first, second))
    assert clean["track"].startswith("clean: ")
    assert clean["held_out"].startswith("fold 0 of 5")
    assert other["track"].startswith("everything: ")
    assert other["scenes"] == SCENES[1:]
    assert other["held_out"] == SCENES[0]
    assert other["went_on_from"] == {"name": "one", "seed": 0, "steps": 2, "batch_size": 4, "rate": 0.003}
    assert other["teachers"] == ["one, seed 0"]
    assert modelfile.read_card(second).mean == modelfile.read_card(first).mean


def test_a_training_goes_on_with_all_members_and_each_is_taught(pools: list[Path], tmp_path: Path):
    tiles = PooledTiles(pools, CPU)
    singles = [tmp_path / f"{seed}.safetensors" for seed in (0, 5)]
    for seed, path in zip((0, 5), singles, strict=True):
        train(tiles, Recipe(width=4, steps=2, batch_size=4, seed=seed), "one", path)
    joined, after = tmp_path / "joined.safetensors", tmp_path / "after.safetensors"
    join_files(singles, joined)
    recipe = Recipe(width=4, steps=2, batch_size=4, patches=True, start=joined, teachers=(singles[0],))
    train(tiles, recipe, "two", after)
    old, new = (modelfile.load(path)[0].state_dict() for path in (joined, after))
    for member in range(2):
        name = f"members.{member}.encoder.0.0.weight"
        assert not torch.equal(old[name], new[name])


def test_teachers_pull_a_student_to_what_they_see(pools: list[Path], tmp_path: Path):
    tiles = PooledTiles(pools, CPU)
    teacher = tmp_path / "teacher.safetensors"
    train(tiles, Recipe(width=4, steps=4, batch_size=4), "teacher", teacher)
    student = Trainer(tiles, Recipe(width=4, steps=1, seed=2, teachers=(teacher,)))
    batch = tiles.batch(np.arange(4))
    shape = (4, len(student.network.head[-1].bias), *batch.classes.shape[1:])
    right = student.teachers[0](batch.reflectance, batch.observed).clamp(min=1e-9).log()
    lesson, weight = student._lesson(batch.reflectance, batch.observed)
    assert taught(right, lesson, weight) < taught(torch.zeros(shape), lesson, weight)


def test_thresholds_of_scenes_come_from_the_models_that_did_not_see_them(
    patches: Path,
    pools: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    from tools.accuracy.scoring import patches as read

    folder = tmp_path / "scenes"
    folder.mkdir()
    for number, scene in enumerate(SCENES):
        found = {}
        for patch in read(patches, frozenset({scene})):
            debris = np.where(patch.classes == 1, 0.6 + 0.1 * number, 0.2).astype(np.float16)
            found[patch.name] = np.stack([debris, np.zeros_like(debris)])
        np.savez_compressed(folder / f"{scene}.npz", **found)
    scenes = measure_scenes(folder, patches)
    assert set(scenes.thresholds) == set(SCENES)
    assert all(0.2 < scenes.thresholds[scene]["strict"] <= 0.7 for scene in SCENES)
    assert sum(four[0] for four in scenes.total.counts["strict"].values()) > 0
    assert sum(four[1] for four in scenes.total.counts["strict"].values()) == 0

    model = tmp_path / "model.safetensors"
    train(PooledTiles(pools, CPU), Recipe(width=4, steps=1, batch_size=2, patches=True), "all", model)
    monkeypatch.setattr(sys, "argv", ["", "--model", str(model), "--scenes", str(folder), "--data", str(patches)])
    calibrate_default_model.main()
    card = modelfile.read_card(model)
    assert 0.2 < card.threshold <= 0.6
    assert "leave-one-scene-out" in card.metrics["data"]
    assert "model.safetensors" in capsys.readouterr().out
