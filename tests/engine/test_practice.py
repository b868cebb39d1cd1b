"""Practice scenes: the same from the same seed, without seams, of plausible reflectance, and as asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from engine.bands import MARIDA_ORDER
from engine.errors import Cancelled, OutputError, RequestError
from engine.jobs import SimulateRequest
from engine.practice import INGREDIENTS, PracticeScene, SceneOptions, make_tile, simulate
from engine.practice.canvas import Canvas
from engine.practice.fields import Field, white
from engine.practice.spectra import Conditions, choose_conditions, pool, signature_scenes
from engine.tiling import Window

B8, B11 = MARIDA_ORDER.index("B8"), MARIDA_ORDER.index("B11")
TWENTY_METRES = [MARIDA_ORDER.index(band) for band in ("B5", "B6", "B7", "B8A", "B11", "B12")]


def test_the_same_seed_gives_the_same_tile_in_another_process():
    code = (
        "import sys, hashlib; from engine.practice import make_tile; t = make_tile(42, 96); "
        "sys.stdout.write(hashlib.sha256(t.reflectance.tobytes() + t.classes.tobytes()).hexdigest())"
    )
    root = Path(__file__).parents[2]
    runs = {
        subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(runs) == 1
    assert len(runs.pop()) == 64


def test_other_seeds_give_other_tiles():
    assert not np.array_equal(make_tile(1, 64).reflectance, make_tile(2, 64).reflectance)


# The last three have a line of floating matter along a front there.
@pytest.mark.parametrize("seed", [3, 4, 11, 0, 17, 21])
def test_a_window_is_what_the_whole_scene_has_there(seed: int):
    scene = PracticeScene(seed, 300, 300, SceneOptions())
    whole = scene.render(Window(0, 0, 300, 300))
    part = scene.render(Window(70, 131, 90, 77))
    place = (slice(70, 160), slice(131, 208))
    assert np.allclose(whole.reflectance[:, place[0], place[1]], part.reflectance, atol=1e-5)
    assert np.array_equal(whole.classes[place], part.classes)


def test_tiles_hold_plausible_reflectance_and_known_classes():
    for seed in range(12):
        tile = make_tile(seed, 96, SceneOptions(mosaic_share=0.3))
        assert tile.reflectance.dtype == np.float32
        assert tile.reflectance.shape == (11, 96, 96)
        assert np.isfinite(tile.reflectance).all()
        assert tile.reflectance.min() > -0.02
        assert tile.reflectance.max() < 3
        assert tile.classes.max() <= 16
        assert not tile.classes[~tile.observed].any()
        assert not tile.reflectance[:, ~tile.observed].any()


def test_twenty_metre_bands_come_in_blocks_of_two_pixels():
    tile = make_tile(5, 96, SceneOptions(without=("nodata",)))
    bands = tile.reflectance[TWENTY_METRES]
    assert np.array_equal(bands[:, ::2], bands[:, 1::2])
    assert np.array_equal(bands[:, :, ::2], bands[:, :, 1::2])
    assert not np.array_equal(tile.reflectance[B8, ::2], tile.reflectance[B8, 1::2])


def test_many_tiles_hold_every_class():
    seen = set()
    for seed in range(60):
        seen |= set(np.unique(make_tile(seed, 128).classes).tolist())
    assert seen == set(range(17))


@pytest.mark.parametrize(
    ("ingredient", "classes"),
    [("debris", {1}), ("sargassum", {2, 3}), ("organic", {4}), ("ship", {5, 14}), ("cloud", {6, 13}), ("coast", {16})],
)
def test_what_is_left_out_is_not_there(ingredient: str, classes: set[int]):
    options = SceneOptions(without=(ingredient,), mosaic_share=0.0)
    for seed in range(12):
        assert not classes & set(np.unique(make_tile(seed, 96, options).classes).tolist())


def test_leaving_a_thing_out_leaves_the_water_as_it_was():
    everything = tuple(name for name in INGREDIENTS if name not in ("fronts", "waves"))
    bare = make_tile(8, 96, SceneOptions(without=everything))
    full = make_tile(8, 96, SceneOptions(without=("coast", "cloud", "haze", "nodata", "shadow")))
    same = np.isclose(bare.reflectance, full.reflectance, atol=1e-6).all(axis=0)
    assert same.mean() > 0.5


def test_an_unknown_ingredient_is_refused():
    with pytest.raises(RequestError, match="unicorns"):
        SceneOptions(without=("unicorns",))


def test_debris_on_water_follows_the_published_pixels():
    water = np.array([choose_conditions(0, (name,)).water for name in signature_scenes()])
    spectra = (pool("debris")[:, None] + water).reshape(-1, len(MARIDA_ORDER))
    # Medians of the 3,018 pixels of floating_matter_pixels.csv, to a tenth.
    assert np.median(spectra[:, B8]) == pytest.approx(0.050, rel=0.1)
    assert np.median(spectra[:, B11]) == pytest.approx(0.017, rel=0.15)
    assert np.corrcoef(spectra[:, B8], spectra[:, 3])[0, 1] > 0.9


def test_floating_matter_stands_out_from_the_water_it_lies_on():
    dark, bright = np.full((11, 1, 1), 0.004, dtype=np.float32), np.full((11, 1, 1), 0.05, dtype=np.float32)
    excess = np.full((11, 1, 1), 0.02, dtype=np.float32)
    place = (slice(0, 1), slice(0, 1))
    for ground in (dark, bright):
        canvas = Canvas(Window(0, 0, 1, 1), ground.copy(), np.full((1, 1), 7, np.uint8), np.zeros((1, 1), bool))
        canvas.mix(*place, np.ones((1, 1), np.float32), excess, np.ones((1, 1), np.uint8), excess=True)
        assert np.allclose(canvas.reflectance - ground, 0.02)
        assert canvas.classes[0, 0] == 1


def test_nothing_is_painted_where_a_canvas_is_closed():
    canvas = Canvas(
        Window(0, 0, 1, 2), np.full((11, 1, 2), 0.3, dtype=np.float32), np.full((1, 2), 6, np.uint8),
        np.zeros((1, 2), bool), np.array([[True, False]]),
    )  # fmt: skip
    everywhere = (slice(None), slice(None))
    canvas.mix(*everywhere, np.ones((1, 2), np.float32), np.zeros((11, 1, 2), np.float32), np.ones((1, 2), np.uint8))
    assert canvas.classes.tolist() == [[6, 1]]
    assert canvas.reflectance[0, 0].tolist() == pytest.approx([0.3, 0.0003])


def test_signatures_come_back_from_many_draws():
    conditions = Conditions("18-9-20_16PCC", 5, choose_conditions(5, ("18-9-20_16PCC",)).water)
    mean, _ = conditions.signature(6)
    rng = np.random.default_rng(0)
    drawn = conditions.draw(rng, 6, rng.standard_normal((20000, 11)).astype(np.float32))
    assert np.allclose(drawn.mean(axis=0), mean, rtol=0.1)
    assert len(signature_scenes()) == 48


def test_fields_have_unit_variance_and_no_seams():
    field = Field.fractal((1, 2), 32, 4)
    whole = field.at(Window(-50, -20, 400, 400))
    assert whole.std() == pytest.approx(1, abs=0.2)
    assert np.allclose(field.at(Window(10, 70, 40, 30)), whole[60:100, 90:120], atol=1e-5)
    blocks = white((3,), Window(-6, 0, 12, 12), 6)
    assert len(np.unique(blocks)) == 4


def test_simulate_writes_a_scene_that_says_what_it_is(tmp_path: Path):
    request = SimulateRequest(
        output=str(tmp_path / "scene.tif"), labels=str(tmp_path / "classes.tif"), width=420, height=200, seed=7
    )
    fractions = []
    result = simulate(request, lambda fraction, _: fractions.append(fraction))
    with rasterio.open(result.output) as scene, rasterio.open(result.labels) as labels:
        assert scene.descriptions == MARIDA_ORDER
        assert (scene.count, scene.height, scene.width, scene.dtypes[0]) == (11, 200, 420, "float32")
        assert scene.crs.is_projected
        assert scene.res == (10, 10)
        assert np.isnan(scene.nodata)
        assert (labels.crs, labels.transform, labels.shape) == (scene.crs, scene.transform, scene.shape)
        classes = labels.read(1)
    assert sum(result.class_pixels.values()) == classes.size
    assert result.class_pixels["Marine Debris"] == (classes == 1).sum()
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classes.tif", "scene.tif"]


def test_simulate_leaves_nothing_when_it_is_cancelled(tmp_path: Path):
    def cancel(fraction: float, _: str) -> None:
        if fraction > 0:
            raise Cancelled("stop")

    request = SimulateRequest(output=str(tmp_path / "s.tif"), labels=str(tmp_path / "c.tif"), width=400, height=400)
    with pytest.raises(Cancelled):
        simulate(request, cancel)
    assert not list(tmp_path.iterdir())


def test_simulate_says_where_it_cannot_write(tmp_path: Path):
    request = SimulateRequest(output=str(tmp_path / "no" / "s.tif"), labels=str(tmp_path / "c.tif"))
    with pytest.raises(OutputError, match="no folder"):
        simulate(request)
