"""Labels from rasters and polygons in any CRS, patches where they are, and a split without neighbours on both sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import Transformer

from engine.errors import DataError
from engine.grid import UNPLACED, Grid
from engine.labels import LabelSource, labels_on_grid, patch_windows, split_by_blocks
from engine.tiling import Window

GRID = Grid(60, 40, Affine(10, 0, 500000, 0, -10, 600000), rasterio.crs.CRS.from_epsg(32630))


def _polygons(path: Path, crs: str, values: list[object], boxes: list[tuple[float, ...]], field: str = "class") -> Path:
    to = Transformer.from_crs("EPSG:32630", crs, always_xy=True)
    shapes = [shapely.Polygon([to.transform(x, y) for x, y in shapely.box(*box).exterior.coords]) for box in boxes]
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array(shapes)), [np.array(values)], fields=[field], geometry_type="Polygon", crs=crs,
        driver="GPKG",
    )  # fmt: skip
    return path


BOXES = [(500100, 599900, 500200, 599950), (500300, 599700, 500310, 599710)]


@pytest.mark.parametrize("crs", ["EPSG:32630", "EPSG:4326", "EPSG:3857"])
def test_polygons_in_any_crs(tmp_path: Path, crs: str) -> None:
    labels = labels_on_grid(LabelSource(str(_polygons(tmp_path / "l.gpkg", crs, [1, 7], BOXES)), "class"), GRID)
    expected = np.zeros((40, 60), dtype=np.uint8)
    expected[5:10, 10:20] = 1
    expected[29, 30] = 7
    np.testing.assert_array_equal(labels, expected)


def test_later_polygons_lie_on_top(tmp_path: Path) -> None:
    path = _polygons(tmp_path / "l.gpkg", "EPSG:32630", [1, 7], [BOXES[0], BOXES[0]])
    assert set(np.unique(labels_on_grid(LabelSource(str(path), "class"), GRID))) == {0, 7}


def _raster(
    path: Path, array: np.ndarray, transform: Affine, crs: str | None, nodata: float | None = None
) -> LabelSource:
    with rasterio.open(
        path, "w", driver="GTiff", height=array.shape[0], width=array.shape[1], count=1, dtype=array.dtype,
        transform=transform, crs=crs, nodata=nodata,
    ) as dataset:  # fmt: skip
        dataset.write(array, 1)
    return LabelSource(str(path))


def test_a_class_raster_on_a_shifted_grid(tmp_path: Path) -> None:
    array = np.full((10, 10), 255, dtype=np.uint8)
    array[2, 3] = 1
    source = _raster(tmp_path / "l.tif", array, Affine(10, 0, 500100, 0, -10, 599900), "EPSG:32630", nodata=255)
    labels = labels_on_grid(source, GRID)
    assert np.argwhere(labels == 1).tolist() == [[12, 13]]
    assert set(np.unique(labels)) == {0, 1}


@pytest.mark.filterwarnings("ignore:The given matrix is equal to Affine.identity", "ignore:Dataset has no geotransform")
def test_without_a_crs_sizes_must_agree(tmp_path: Path) -> None:
    grid = Grid(60, 40, Affine.identity(), None)
    array = np.ones((40, 60), dtype=np.uint8)
    assert labels_on_grid(_raster(tmp_path / "l.tif", array, Affine.identity(), None), grid).all()
    with pytest.raises(DataError, match="same size"):
        labels_on_grid(_raster(tmp_path / "s.tif", array[:5], Affine.identity(), None), grid)


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_a_crs_of_ones_own_holds_whatever_the_file_says(tmp_path: Path) -> None:
    """Polygons and class rasters whose files have another CRS, or none."""
    expected = np.zeros((40, 60), dtype=np.uint8)
    expected[5:10, 10:20] = 1
    meant = GRID.crs
    transform = GRID.transform @ Affine.translation(-10, -10)
    for number, crs in enumerate((None, "EPSG:32631")):
        drawn = shapely.to_wkb(np.array([shapely.box(*BOXES[0])]))
        polygons = tmp_path / f"{number}.gpkg"
        pyogrio.raw.write(
            polygons, drawn, [np.array([1])], fields=["class"], geometry_type="Polygon", crs=crs, driver="GPKG"
        )
        source = _raster(tmp_path / f"{number}.tif", np.pad(expected, 10), transform, crs)
        for path, field in ((str(polygons), "class"), (source.path, None)):
            np.testing.assert_array_equal(labels_on_grid(LabelSource(path, field, crs=meant), GRID), expected)
            # It is brought to the scene's, as a file's own is.
            other = LabelSource(path, field, crs=rasterio.crs.CRS.from_epsg(32632))
            with pytest.raises(DataError, match="no labels where the raster is"):
                labels_on_grid(other, GRID)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_crs_alone_is_no_place(tmp_path: Path) -> None:
    """A class raster of pixels only goes with the scene's pixels, whatever CRS it was given."""
    classes = np.zeros((40, 60), dtype=np.uint8)
    classes[5, 6] = 1
    source = _raster(tmp_path / "l.tif", classes, Affine.identity(), None)
    np.testing.assert_array_equal(labels_on_grid(LabelSource(source.path, crs=GRID.crs), GRID), classes)
    unplaced = Grid(60, 40, UNPLACED, GRID.crs)
    placed = _raster(tmp_path / "p.tif", classes, GRID.transform, "EPSG:32630")
    np.testing.assert_array_equal(labels_on_grid(placed, unplaced), classes)


def test_bad_labels(tmp_path: Path) -> None:
    far = _polygons(tmp_path / "far.gpkg", "EPSG:32630", [1], [(0, 0, 10, 10)])
    strange = _polygons(tmp_path / "strange.gpkg", "EPSG:32630", [1, 99], BOXES)
    words = _polygons(tmp_path / "words.gpkg", "EPSG:32630", ["debris", "water"], BOXES)
    text = tmp_path / "text.txt"
    text.write_text("nothing")
    for path, field, message in [
        (far, "class", "no labels where the raster is"),
        (strange, "class", "label values 99"),
        (words, "class", "must hold class numbers"),
        (far, "kind", r"no field 'kind'.*class"),
        (text, "class", "neither a raster nor polygons"),
        (tmp_path / "none.gpkg", "class", "There is no file"),
    ]:
        with pytest.raises(DataError, match=message):
            labels_on_grid(LabelSource(str(path), field), GRID)


def test_patches_hold_every_label_and_no_patch_is_empty() -> None:
    labels = np.zeros((100, 130), dtype=np.uint8)
    labels[3, 5] = labels[99, 129] = labels[64, 64] = 1
    windows = patch_windows(labels, 32)
    assert windows == [Window(0, 0, 32, 32), Window(64, 64, 32, 32), Window(96, 128, 32, 32)]


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_are_never_on_both_sides(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.zeros((640, 640), dtype=np.uint8)
    for row, col in rng.integers(0, 640, (40, 2)):
        labels[row, col] = 1
    train, validation = split_by_blocks(patch_windows(labels, 32), labels, 0.2, seed)
    assert train
    assert validation
    for a in train:
        assert all(max(abs(a.row - b.row), abs(a.col - b.col)) > 32 for b in validation)


def test_one_field_of_labels_is_cut_in_two() -> None:
    labels = np.ones((320, 64), dtype=np.uint8)
    train, validation = split_by_blocks(patch_windows(labels, 32), labels, 0.25, 0)
    rows_train, rows_validation = {w.row for w in train}, {w.row for w in validation}
    assert min(rows_validation) - max(rows_train) >= 64 or min(rows_train) - max(rows_validation) >= 64


def test_one_patch_cannot_be_split() -> None:
    labels = np.ones((20, 20), dtype=np.uint8)
    with pytest.raises(DataError, match="label a second place"):
        split_by_blocks(patch_windows(labels, 32), labels, 0.2, 0)
