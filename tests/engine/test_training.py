"""Training: the schedule, the augmentation, the sources, and the whole job from a request to a model that detects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine import modelfile
from engine.bands import MARIDA_ORDER
from engine.errors import Cancelled, RequestError
from engine.jobs import TrainRequest
from engine.losses import IGNORE, class_weights
from engine.monitor import silent
from engine.practice import SceneOptions, Tile
from engine.prediction import Predictor
from engine.training import train
from engine.training.augment import jitter, turn
from engine.training.data import KeptTiles, MixedTiles, PracticeTiles, batches, practice_split
from engine.training.grouping import CLASSES, MARIDA_PIXELS, lookup, pixel_weights
from engine.training.measure import MEASURED_TILES, measure
from engine.training.patches import Patch, PatchTiles
from engine.training.schedule import WeightAverage, rate_factor
from engine.training.texture import EDGE, WEAK, TextureTiles, with_weak
from engine.training.validation import fit_temperature

SMALL = {"width": 4, "epochs": 2, "batch_size": 4, "training_samples": 12, "validation_samples": 6, "tile_size": 32,
         "warmup_epochs": 1, "learning_rate": 3e-3, "device": "cpu"}  # fmt: skip


class NumberedTiles:
    """Tiles that hold nothing but their own number."""

    def __init__(self, count: int, offset: int = 0) -> None:
        self.count, self.offset, self.made = count, offset, 0

    def __len__(self) -> int:
        return self.count

    def tile(self, index: int) -> Tile:
        self.made += 1
        value = np.full((1, 4, 4), index + self.offset, dtype=np.float32)
        return Tile(value, np.ones((4, 4), dtype=np.uint8), np.ones((4, 4), dtype=bool))


@pytest.mark.parametrize(
    ("epoch", "factor"), [(0, 0), (5, 0.5), (10, 1), (55, 0.5), (100, 0), (77.5, 0.5 * (1 - np.sqrt(0.5)))]
)
def test_the_rate_warms_up_and_then_follows_a_cosine(epoch: float, factor: float):
    assert rate_factor(epoch, 10, 100) == pytest.approx(factor, abs=1e-9)


def test_views_turn_image_mask_and_labels_together():
    image = torch.arange(2 * 6 * 6, dtype=torch.float32).reshape(1, 2, 6, 6)
    views = set()
    for view in range(8):
        turned, mask, labels = turn(image, image[:, 0] > 9, image[:, 0].to(torch.uint8), view)
        assert torch.equal(turned[:, 0] > 9, mask)
        assert torch.equal(turned[:, 0].to(torch.uint8), labels)
        views.add(tuple(labels.flatten().tolist()))
    assert len(views) == 8


def test_jitter_changes_each_image_and_follows_its_seed():
    image = torch.full((2, 11, 4, 4), 0.05)
    first = jitter(image, torch.Generator().manual_seed(1))
    assert torch.equal(first, jitter(image, torch.Generator().manual_seed(1)))
    assert not torch.allclose(first[0], first[1])
    assert (first - image).abs().max() < 0.05


def test_batches_come_in_order_and_whole():
    order = list(np.random.default_rng(0).permutation(23))
    seen = [batch.reflectance[:, 0, 0, 0].tolist() for batch in batches(NumberedTiles(23), order, 5)]
    assert [len(batch) for batch in seen] == [5, 5, 5, 5, 3]
    assert [int(value) for batch in seen for value in batch] == order


def test_batches_stop_making_tiles_when_nobody_takes_them():
    source = NumberedTiles(4000)
    stream = batches(source, range(4000), 10)
    next(stream)
    stream.close()
    assert source.made < 400


def test_sources_join_and_keep():
    source = NumberedTiles(3, offset=100)
    joined = KeptTiles(MixedTiles([NumberedTiles(2), source]))
    values = [float(joined.tile(index).reflectance[0, 0, 0]) for index in (0, 1, 2, 3, 4, 4)]
    assert values == [0, 1, 100, 101, 102, 102]
    assert source.made == 3


def test_practice_tiles_of_two_seeds_share_nothing():
    seen, kept = practice_split()
    assert not set(seen) & set(kept)
    first = PracticeTiles(2, 32, 1, SceneOptions(signature_scenes=seen)).tile(0)
    other = PracticeTiles(2, 32, 2, SceneOptions(signature_scenes=seen)).tile(0)
    assert not np.array_equal(first.reflectance, other.reflectance)


def test_every_class_of_marida_has_one_channel():
    table = lookup(CLASSES)
    assert table[0] == IGNORE
    assert table[WEAK] == table[EDGE] == IGNORE
    assert all(CLASSES[table[number]].marida.count(number) == 1 for number in range(1, 17))
    assert CLASSES[table[1]].role == "debris"
    floating = {number for entry in CLASSES if entry.role == "floating" for number in entry.marida}
    assert floating == {2, 3, 4, 9}


@pytest.mark.parametrize("place", [0, 100, 250, 299])
def test_a_class_of_one_tile_among_many_is_counted_wherever_it_is(place: int):
    classes = np.full((300, 2, 7), 7, dtype=np.uint8)
    classes[place, 0, 0] = 1
    image, seen = np.full((11, 2, 7), 0.03, dtype=np.float32), np.ones((2, 7), dtype=bool)
    tiles = PatchTiles([Patch("s", str(n), Tile(image, labels, seen)) for n, labels in enumerate(classes)])
    assert len(tiles) > MEASURED_TILES
    counts, middle, spread = measure(tiles, 16, 0, silent)
    assert (counts[1], counts.sum()) == (1, 300 * 14)
    assert class_weights(counts[[7, 1]])[1] > 1.9
    np.testing.assert_allclose(middle, 0.03, rtol=1e-3)
    assert (spread == np.float32(1e-4)).all()


def test_pixels_without_a_label_have_no_part_in_the_weights():
    labels = np.array([[7] * 13 + [1] + [0] * 50], dtype=np.uint8)
    tile = Tile(np.zeros((11, 1, 64), dtype=np.float32), labels, np.ones((1, 64), dtype=bool))
    counts = measure(PatchTiles([Patch("s", "p", tile)]), 1, 0, silent)[0]
    np.testing.assert_allclose(class_weights(counts[[7, 1]]), [0.142857, 1.857143], atol=1e-5)


def test_weights_make_practice_pixels_as_frequent_as_maridas():
    counts = np.zeros(256, dtype=np.int64)
    counts[[1, 7]] = [500, 90_000]
    weights = pixel_weights(counts)
    assert weights[1] * 500 == pytest.approx(MARIDA_PIXELS[1])
    assert weights[7] * 90_000 == pytest.approx(MARIDA_PIXELS[7])
    assert weights[5] == 0


def test_the_temperature_makes_boastful_logits_honest():
    generator = torch.Generator().manual_seed(0)
    honest = torch.randn(20_000, 3, generator=generator)
    target = torch.distributions.Categorical(logits=honest).sample()
    assert fit_temperature(4 * honest, target, torch.ones(20_000)) == pytest.approx(4, rel=0.1)


def test_the_average_follows_the_weights():
    network = torch.nn.Linear(1, 1, bias=False)
    average = WeightAverage(network, decay=0.5)
    with torch.no_grad():
        network.weight.fill_(3.0)
    for _ in range(60):
        average.update(network)
    assert float(average.network.weight.detach()) == pytest.approx(3.0, abs=1e-3)


def test_textures_are_real_images_with_things_painted_on(marida: Path):
    folder = marida.parent / "marida_train"
    if not folder.is_dir():
        pytest.skip("no marida_train beside the project")
    source = TextureTiles(folder, "val_X", 12, 64, 3, SceneOptions())
    tiles = [source.tile(index) for index in range(12)]
    again = source.tile(4)
    assert np.array_equal(again.reflectance, tiles[4].reflectance)
    numbers = set(np.concatenate([np.unique(tile.classes) for tile in tiles]).tolist())
    assert {1, WEAK} <= numbers
    assert all(np.isfinite(tile.reflectance).all() for tile in tiles)


def _sea(side: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Dark water without labels: classes, and reflectance (11, side, side)."""
    return np.zeros((side, side), dtype=np.uint8), np.full((11, side, side), 0.01, dtype=np.float32)


def test_the_edge_of_land_is_surely_no_floating_matter():
    classes, reflectance = _sea()
    reflectance[7, :, :40] = 0.3
    found = with_weak(classes, reflectance)
    assert (found[:, 36:44] == EDGE).all()
    assert (found[:, 60:] == WEAK).all()
    assert (found[:, :30] == WEAK).all()


def test_a_bright_mat_that_is_labelled_has_no_edge():
    classes, reflectance = _sea()
    reflectance[7, 40:60, 40:60] = 0.3
    reflectance[7, 80:84, 80:84] = 0.3
    classes[50, 50] = 2
    # The second thing is bright too, but as small as a ship.
    assert not (with_weak(classes, reflectance) == EDGE).any()


def test_a_bright_continuation_of_a_labelled_line_is_no_negative():
    classes, reflectance = _sea()
    reflectance[7, 32, 10:80] = 0.03
    classes[32, 10] = 1
    found = with_weak(classes, reflectance)
    assert (found[32, 11:50] == 0).all()
    assert found[36, 30] == WEAK
    # As bright, but beyond forty pixels.
    assert (found[32, 51:80] == WEAK).all()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "small.safetensors"
    result = train(TrainRequest(model=str(path), name="small", **SMALL))
    assert result.epochs == 2
    assert 0 <= result.best_f1 <= 1
    return path


def test_a_trained_model_is_one_file_that_detect_can_use(trained: Path):
    assert {entry.name for entry in trained.parent.iterdir()} == {trained.name, f"{trained.stem}.training"}
    card = modelfile.read_card(trained)
    assert card.bands == MARIDA_ORDER
    assert card.training["epochs_done"] == 2
    assert len(card.training["curves"]) == 2
    assert "ece" in card.metrics["debris"]
    tile = PracticeTiles(1, 32, 9, SceneOptions(without=("nodata",))).tile(0)
    result = Predictor(trained, "cpu").probabilities(tile.reflectance[None], tile.observed[None])
    assert result.shape == (1, 2, 32, 32)
    assert np.isfinite(result).all()


def test_the_same_seed_trains_the_same_model(trained: Path, tmp_path: Path):
    again = tmp_path / "again.safetensors"
    train(TrainRequest(model=str(again), name="small", **SMALL))
    first, second = modelfile.load(trained)[0].state_dict(), modelfile.load(again)[0].state_dict()
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)


def test_training_goes_on_from_a_model(trained: Path, tmp_path: Path):
    path = tmp_path / "more.safetensors"
    train(TrainRequest(model=str(path), start_from=str(trained), **{**SMALL, "epochs": 1, "learning_rate": 1e-9}))
    first, second = modelfile.load(trained)[0].state_dict(), modelfile.load(path)[0].state_dict()
    assert torch.allclose(first["head.3.weight"], second["head.3.weight"], atol=1e-5)


def test_a_model_to_go_on_from_brings_its_network(trained: Path, tmp_path: Path):
    path = tmp_path / "m.safetensors"
    train(TrainRequest(model=str(path), start_from=str(trained), **{**SMALL, "width": 8, "epochs": 1}))
    assert modelfile.read_card(path).network["width"] == SMALL["width"]


@pytest.mark.parametrize("at", [0.0, 0.05, 0.3])
def test_a_training_cancelled_in_its_first_epoch_leaves_nothing(at: float, tmp_path: Path):
    def monitor(fraction: float, _: str) -> None:
        if fraction >= at:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        train(TrainRequest(model=str(tmp_path / "m.safetensors"), **SMALL), monitor)
    assert not list(tmp_path.iterdir())


def test_a_wrong_tile_size_is_refused():
    with pytest.raises(RequestError, match="multiple of 16"):
        TrainRequest(model="m.safetensors", tile_size=100)
