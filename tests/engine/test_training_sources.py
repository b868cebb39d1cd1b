"""What a training learns from: folders and rasters with labels, their split, and what is said of bad ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from training_data import image, marida_folder, raster_and_polygons, write

from engine import modelfile
from engine.bands import MARIDA_ORDER
from engine.errors import BandError, DataError, RequestError
from engine.evaluation import evaluate
from engine.jobs import DetectRequest, EvaluateRequest, InspectRequest, TrainRequest, run
from engine.labels import scene_names
from engine.losses import IGNORE
from engine.monitor import silent
from engine.raster import gdal_settings
from engine.training import inspect, train
from engine.training.grouping import CLASSES, grouping_for, table_for
from engine.training.rasters import read_rasters, read_unlabelled
from engine.training.sources import gather


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return marida_folder(tmp_path_factory.mktemp("marida"))


@pytest.fixture
def drawn(tmp_path: Path) -> tuple[Path, Path]:
    return raster_and_polygons(tmp_path)


def marida(folder: Path, **values) -> InspectRequest:
    return InspectRequest(**{"source": "marida", "folder": str(folder), "tile_size": 32, **values})


def rasters(raster: Path, labels: Path, **values) -> InspectRequest:
    return InspectRequest(
        **{"source": "rasters", "rasters": (str(raster),), "labels": (str(labels),), "label_field": "class",
           "tile_size": 64, **values}
    )  # fmt: skip


def test_no_scene_is_on_both_sides(folder: Path):
    result = inspect(marida(folder))
    assert set(result.training["scenes"]).isdisjoint(result.validation["scenes"])
    assert len(result.training["scenes"]) + len(result.validation["scenes"]) == 4
    assert result.training["patches"] + result.validation["patches"] == 8
    assert result.validation["classes"]["Marine Debris"] > 0
    assert result.fingerprint == inspect(marida(folder)).fingerprint
    assert result.fingerprint != inspect(marida(folder, seed=3, validation_share=0.5)).fingerprint


def test_lists_decide_the_split(folder: Path):
    result = inspect(marida(folder, train_split="train_X", validation_split="val_X"))
    assert result.training["scenes"] == ["S2_1-1-20_16PCC", "S2_2-1-20_16PCC"]
    assert result.validation["scenes"] == ["S2_3-1-20_16PCC", "S2_4-1-20_16PCC"]


def test_patches_without_data_are_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    root = marida_folder(tmp_path)
    path = root / "patches" / "S2_1-1-20_16PCC" / "S2_1-1-20_16PCC_0.tif"
    write(path, np.full((11, 32, 32), np.nan, dtype=np.float32), Affine(10, 0, 4e5, 0, -10, 1.7e6))
    result = inspect(marida(root))
    assert result.training["patches"] + result.validation["patches"] == 7
    assert "S2_1-1-20_16PCC_0 holds no data and is skipped" in caplog.text


def test_padding_has_no_class_and_is_no_data(folder: Path):
    tile = gather(marida(folder, tile_size=48)).training.tile(0)
    assert tile.classes.shape == (48, 48)
    assert not tile.observed[32:].any()
    assert not tile.classes[32:].any()
    assert not tile.classes[:, 32:].any()


def test_confidence_becomes_weight(tmp_path: Path):
    root = marida_folder(tmp_path)
    for path in root.glob("patches/*/*_conf.tif"):
        write(path, np.full((1, 32, 32), 3, dtype=np.float32), Affine(10, 0, 4e5, 0, -10, 1.7e6))
    weight = gather(marida(root)).training.tile(0).weight
    assert weight is not None
    np.testing.assert_allclose(weight, 1 / 3)


def test_positive_classes_are_chosen(folder: Path):
    result = inspect(marida(folder, positive_classes=(1, 2, 3, 4, 9)))
    assert result.classes == ["everything else", "marine debris"]
    classes = grouping_for((1,), np.bincount([1, 2, 7], minlength=256))
    assert [entry.role for entry in classes] == ["clear", "debris", "floating"]


def test_a_model_goes_on_with_other_positive_classes():
    table = table_for(CLASSES, (1, 2))
    debris = [number for number, entry in enumerate(CLASSES) if entry.role == "debris"]
    assert table[1] in debris
    assert table[2] in debris
    assert CLASSES[table_for(CLASSES, (2,))[1]].role == "clear"
    assert table[0] == IGNORE


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_polygons_in_another_crs_lie_where_they_were_drawn(tmp_path: Path, crs: str):
    raster, labels = raster_and_polygons(tmp_path, crs)
    data = gather(rasters(raster, labels))
    assert {"training", "validation"} == set(data.plan)
    pixels = sum(data.plan[part]["classes"]["Marine Debris"] for part in data.plan)
    assert pixels == 5 * 16
    for part in (data.training, data.validation):
        for index in range(len(part)):
            tile = part.tile(index)
            np.testing.assert_array_equal(tile.classes == 1, (tile.reflectance[7] > 0.1) & (tile.classes > 0))


@pytest.mark.parametrize("crs", [None, "EPSG:32617"])
def test_a_crs_of_ones_own_is_that_of_a_raster(tmp_path: Path, crs: str | None, caplog: pytest.LogCaptureFixture):
    """What a person has set in QGIS, of a file that says none or another."""
    raster, labels = raster_and_polygons(tmp_path)
    right = gather(rasters(raster, labels))
    other = tmp_path / "other.tif"
    shutil.copy(raster, other)
    with rasterio.open(other, "r+") as dataset:
        dataset.crs = rasterio.crs.CRS.from_string(crs) if crs else rasterio.crs.CRS()
    with pytest.raises(DataError, match="no labels where the raster is"):
        gather(rasters(other, labels))
    caplog.set_level("INFO")
    data = gather(rasters(other, labels, crs=("EPSG:32616",)))
    assert f"{other} is taken to have the CRS EPSG:32616" in caplog.text
    for part in ("training", "validation"):
        assert data.plan[part]["classes"] == right.plan[part]["classes"]
    # One for each: an empty text leaves a file its own.
    both = gather(rasters(raster, labels, rasters=(str(raster), str(other)), crs=("", "EPSG:32616")))
    found = {name: right.plan["training"]["classes"][name] + right.plan["validation"]["classes"][name]
             for name in ("Marine Debris", "Marine Water")}  # fmt: skip
    for part in ("training", "validation"):
        assert both.plan[part]["classes"] == found


def test_a_crs_of_ones_own_is_that_of_labels(drawn: tuple[Path, Path]):
    raster, labels = drawn
    with pytest.raises(DataError, match="no labels where the raster is"):
        gather(rasters(raster, labels, label_crs=("EPSG:32616",)))


def test_polygons_train_a_model_that_detect_and_evaluate_use(drawn: tuple[Path, Path], tmp_path: Path):
    raster, labels = drawn
    model = tmp_path / "own.safetensors"
    result = train(
        TrainRequest(
            source="rasters",
            rasters=(str(raster),),
            labels=(str(labels),),
            label_field="class",
            model=str(model),
            width=4,
            tile_size=64,
            epochs=20,
            warmup_epochs=2,
            patience=20,
            batch_size=2,
            learning_rate=5e-3,
            device="cpu",
            precision="float32",
        )  # fmt: skip
    )
    assert result.best_f1 > 0.6
    assert modelfile.read_card(model).metrics["debris"]["f1"] == pytest.approx(result.best_f1, abs=1e-3)
    found = run(DetectRequest(input=str(raster), model=str(model), mask=str(tmp_path / "mask.tif"), masks="none"))
    with rasterio.open(raster) as image, rasterio.open(tmp_path / "mask.tif") as mask:
        assert (mask.read(1)[image.read(8) > 0.1] == 1).mean() > 0.5
    assert found.debris_pixels < 0.1 * found.observed_pixels
    scores = evaluate(
        EvaluateRequest(rasters=(str(raster),), labels=(str(labels),), label_field="class", model=str(model))
    )
    assert scores.f1 > 0.5
    # One patch alone: nothing can be drawn from it.
    assert (scores.interval, scores.interval_by) == (None, None)
    assert scores.pixels_by_class["Marine Debris"] == 80


def test_a_few_corrections_leave_the_threshold_as_it_was(folder: Path, tmp_path: Path):
    common = {
        "source": "marida", "folder": str(folder), "tile_size": 32, "width": 4, "epochs": 1, "batch_size": 4,
        "device": "cpu", "precision": "float32",
    }  # fmt: skip
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train(TrainRequest(model=str(first), **common))
    result = train(TrainRequest(model=str(second), start_from=str(first), learning_rate=1e-5, **common))
    before, after = modelfile.read_card(first), modelfile.read_card(second)
    assert (after.threshold, after.temperature) == (before.threshold, before.temperature)
    assert result.best_f1 == pytest.approx(after.metrics["debris"]["f1"], abs=1e-3)


def test_a_class_raster_serves_as_well(drawn: tuple[Path, Path], tmp_path: Path):
    raster, _ = drawn
    with rasterio.open(raster) as dataset:
        debris, transform = dataset.read(8) > 0.1, dataset.transform
    classes = np.where(debris, 1, 7).astype(np.uint8)
    classes[40:200] = 0
    write(tmp_path / "classes.tif", classes[None], transform)
    plan = gather(rasters(raster, tmp_path / "classes.tif")).plan
    assert sum(plan[part]["classes"]["Marine Debris"] for part in plan) == int(debris[classes > 0].sum())


def test_rasters_of_one_name_in_two_folders_are_two_scenes(tmp_path: Path):
    places = [raster_and_polygons(tmp_path / name) for name in ("2021", "2022")]
    paths = tuple(str(raster) for raster, _ in places)
    plan = gather(rasters(*places[0], rasters=paths)).plan
    assert sorted(plan["training"]["scenes"] + plan["validation"]["scenes"]) == ["2021/scene", "2022/scene"]


def test_scenes_are_named_shortly_and_apart():
    assert scene_names(["/a/x.tif", "/a/y.tif"]) == ["x", "y"]
    assert scene_names(["/a/1/x.tif", "/b/1/x.tif", "/b/1/x.tif"]) == ["a/1/x", "b/1/x", "b/1/x"]
    assert scene_names(["/x.tif", "/x.vrt"]) == ["/x.tif", "/x.vrt"]


def _relabelled(root: Path, number: int) -> Path:
    for path in root.glob("patches/*/*_cl.tif"):
        write(path, np.full((1, 32, 32), number, dtype=np.float32), Affine(10, 0, 4e5, 0, -10, 1.7e6))
    return root


def test_one_class_only(tmp_path: Path):
    with pytest.raises(DataError, match=r"only the class.*label what is not debris too"):
        gather(marida(_relabelled(marida_folder(tmp_path / "a"), 1)))
    with pytest.raises(DataError, match="fewer than two scenes"):
        gather(marida(_relabelled(marida_folder(tmp_path / "b"), 7)))
    with pytest.raises(DataError, match="no pixel of the positive classes 1"):
        gather(marida(tmp_path / "b", train_split="train_X", validation_split="val_X"))


def test_class_numbers_of_patches_that_are_not_in_the_list(tmp_path: Path):
    root = marida_folder(tmp_path)
    path = root / "patches" / "S2_2-1-20_16PCC" / "S2_2-1-20_16PCC_1_cl.tif"
    with rasterio.open(path) as dataset:
        classes, place = dataset.read(), dataset.transform
    classes[0, 5, 5:7] = 17, 40
    write(path, classes, place)
    with pytest.raises(
        DataError, match=r"S2_2-1-20_16PCC_1_cl.tif has the label values 17, 40: classes are .* 1 to 16"
    ):
        gather(marida(root))


def test_wrong_labels_and_places(drawn: tuple[Path, Path], tmp_path: Path):
    raster, labels = drawn
    far = tmp_path / "far.tif"
    write(far, np.ones((1, 16, 16), dtype=np.uint8), Affine(10, 0, 9e5, 0, -10, 1.2e6))
    strange = tmp_path / "strange.tif"
    write(strange, np.full((1, 256, 256), 40, dtype=np.uint8), Affine(10, 0, 4e5, 0, -10, 1.7e6))
    bands = tmp_path / "bands.tif"
    write(bands, np.ones((4, 64, 64), dtype=np.float32), Affine(10, 0, 4e5, 0, -10, 1.7e6))
    empty = tmp_path / "empty"
    empty.mkdir()
    for request, error, message in (
        (rasters(raster, far), DataError, "no labels where the raster is"),
        (rasters(raster, strange), DataError, "label values 40"),
        (rasters(raster, labels, label_field="kind"), DataError, r"no field 'kind'.*\(class\)"),
        (rasters(raster, tmp_path / "none.gpkg"), DataError, "no file"),
        (rasters(bands, labels), BandError, "cannot be told"),
        (marida(empty), DataError, "no patches"),
        (marida(tmp_path / "nowhere"), DataError, "no folder"),
        (rasters(raster, labels, crs=("moon",)), RequestError, r"crs is 'moon', which cannot be understood"),
        (rasters(raster, labels, label_crs=("moon",)), RequestError, r"label_crs is 'moon', which cannot"),
    ):
        with pytest.raises(error, match=message):
            gather(request)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"source": "marida"}, "Name the folder"),
        ({"source": "rasters"}, "Name the rasters"),
        ({"source": "rasters", "rasters": ("a", "b"), "labels": ("c", "d", "e")}, "2 raster.* 3 label"),
        (
            {"source": "rasters", "rasters": ("a", "b"), "labels": ("c",), "crs": ("EPSG:32630",)},
            r"crs names 1 CRS\(s\) for 2 file\(s\)",
        ),
        (
            {"source": "rasters", "rasters": ("a",), "labels": ("c",), "label_crs": ("EPSG:32630", "")},
            r"label_crs names 2 CRS\(s\) for 1 file\(s\)",
        ),
        ({"train_split": "train_X"}, "both lists"),
        ({"positive_classes": (0,)}, "1 to 16"),
        ({"source": "maps"}, "practice, marida, rasters"),
    ],
)
def test_requests_that_cannot_be_met(values: dict, message: str):
    with pytest.raises(RequestError, match=message):
        InspectRequest(**values)


def test_beside_a_handful_of_labels_the_rest_of_the_raster_is_learnt_from_too(tmp_path: Path):
    reflectance, _ = image(np.random.default_rng(2), 256)
    reflectance[:, 128:, :] = np.nan
    raster, labels = tmp_path / "scene.tif", tmp_path / "labels.tif"
    place = Affine(10, 0, 4e5, 0, -10, 1.7e6)
    write(raster, reflectance, place, MARIDA_ORDER)
    classes = np.zeros((1, 256, 256), dtype=np.uint8)
    classes[0, 40:44, 40:44], classes[0, 70, 200] = 7, 1
    write(labels, classes, place)
    request = TrainRequest(
        source="rasters", rasters=(str(raster),), labels=(str(labels),), model="m", tile_size=32, start_from="s"
    )
    with gdal_settings():
        rasters = read_rasters(request, MARIDA_ORDER, silent)
        found = read_unlabelled(request, rasters, MARIDA_ORDER, 100)
        few = read_unlabelled(request, rasters, MARIDA_ORDER, 5)
    # Four rows of eight tiles hold data, two of them labels.
    assert len(found) == len({patch.name for patch in found}) == 30
    assert not {patch.name for patch in found} & {patch.name for patch in rasters[0].patches}
    assert all(patch.tile.observed.all() and not patch.tile.classes.any() for patch in found)
    assert [patch.name for patch in few] == [patch.name for patch in found[:5]]
    learnt = gather(request).training
    rest = [learnt.tile(n) for n in range(len(learnt) - 30, len(learnt))]
    assert not any(tile.classes.any() for tile in rest)
    assert {tile.reflectance[0].tobytes() for tile in rest} == {
        patch.tile.reflectance[0].astype(np.float32).tobytes() for patch in found
    }


def test_parts_without_labels_are_of_all_rasters(tmp_path: Path):
    place = Affine(10, 0, 4e5, 0, -10, 1.7e6)
    names = [(str(tmp_path / f"{n}.tif"), str(tmp_path / f"{n}_labels.tif")) for n in range(3)]
    for number, (raster, labels) in enumerate(names):
        write(Path(raster), image(np.random.default_rng(number), 128)[0], place, MARIDA_ORDER)
        classes = np.zeros((1, 128, 128), dtype=np.uint8)
        classes[0, 4:8, 4:8] = 7
        write(Path(labels), classes, place)
    request = TrainRequest(source="rasters", rasters=tuple(raster for raster, _ in names),
                           labels=tuple(labels for _, labels in names), model="m", tile_size=32)  # fmt: skip
    with gdal_settings():
        rasters = read_rasters(request, MARIDA_ORDER, silent)
        found = read_unlabelled(request, rasters, MARIDA_ORDER, 8)
    assert [patch.scene for patch in found] == ["0", "0", "0", "1", "1", "1", "2", "2"]
