"""Detections on products as people have them: the same as on the reflectance behind them, and where not to look."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import Geod, Transformer
from safe_builder import ANGLES, ORIGIN, UTM, write_image, write_l1c, write_l2a, zip_folder
from scipy import ndimage

from engine.bands import BAND_NAMES, MARIDA_ORDER
from engine.errors import BandError, EngineError, RasterError, RequestError
from engine.jobs import DetectRequest, DetectResult, run
from engine.practice.scene import PracticeScene, SceneOptions
from engine.sentinel2.metadata import Angles
from engine.sentinel2.rayleigh import rayleigh_terms
from engine.sentinel2.shift import usual_water
from engine.tiling import Window

METADATA = Path(__file__).parents[3] / "shared" / "data" / "sentinel2_metadata"
PATCH = "patches/S2_22-12-20_18QYF/S2_22-12-20_18QYF_0.tif"
LAND, CLOUD, NO_DATA = 3, 4, 255

Scene = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def detect(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., DetectResult]:
    """Runs Detect into tmp_path, with the toy model unless another is named."""

    def run_detect(*product: Path | str, **values: object) -> DetectResult:
        options: dict[str, object] = {"model": str(request.getfixturevalue("toy_model")), **values}
        if product:
            options["product"] = tuple(str(path) for path in product)
        return run(
            DetectRequest(mask=str(tmp_path / "mask.tif"), detections=str(tmp_path / "found.gpkg"), **options)  # type: ignore[arg-type]
        )

    return run_detect


def mask_of(folder: Path) -> np.ndarray:
    with rasterio.open(folder / "mask.tif") as dataset:
        return dataset.read(1)


def table_of(folder: Path) -> dict[str, np.ndarray]:
    meta, _, geometry, fields = pyogrio.raw.read(folder / "found.gpkg")
    return {**dict(zip(meta["fields"], fields, strict=True)), "geometry": shapely.from_wkb(geometry)}


def top_of_atmosphere(corrected: np.ndarray) -> np.ndarray:
    """What L1C would hold of Rayleigh-corrected reflectance, by the angles that the builder writes."""
    views = [dict.fromkeys(BAND_NAMES, ANGLES[name]) for name in ("view_zenith", "view_azimuth")]
    return rayleigh_terms(MARIDA_ORDER, Angles(ANGLES["sun_zenith"], ANGLES["sun_azimuth"], *views)).simulate(corrected)


def template(baseline: str) -> Path:
    found = list(METADATA.glob(f"*_N{baseline.replace('.', '')}_*.SAFE"))
    if not found:
        pytest.skip("real Sentinel-2 metadata is not on this machine")
    return found[0]


def water(height: int = 120, width: int = 120) -> np.ndarray:
    """Eleven bands of open water on which a line of ten bright pixels floats, from the middle to the right."""
    reflectance = np.full((11, height, width), 0.02, dtype=np.float32)
    reflectance[MARIDA_ORDER.index("B11")] = reflectance[MARIDA_ORDER.index("B12")] = 0.004
    reflectance[MARIDA_ORDER.index("B8"), height // 2, width // 2 : width // 2 + 10] = 0.2
    return reflectance


@pytest.fixture(scope="module")
def patch(marida: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray, DetectResult]:
    """A real patch of 28 labelled debris pixels, where it has data, and what the bundled model finds in it."""
    with rasterio.open(marida / PATCH) as dataset:
        reflectance = dataset.read()
    folder = tmp_path_factory.mktemp("patch")
    found = run(DetectRequest(input=str(marida / PATCH), mask=str(folder / "mask.tif")))
    assert found.debris_pixels > 50
    return np.nan_to_num(reflectance), np.isfinite(reflectance).all(axis=0), found


@pytest.mark.parametrize(
    ("baseline", "native", "within"), [("02.09", False, 0.02), ("05.09", False, 0.02), ("05.09", True, 0.05)]
)
def test_l1c_gives_the_detections_of_the_patch(
    patch, detect, tmp_path: Path, baseline: str, native: bool, within: float
) -> None:
    # Natively coarse bands lose a little: MARIDA's were moved when it was made, so its blocks are not the product's.
    reflectance, observed, expected = patch
    safe = write_l1c(tmp_path, top_of_atmosphere(reflectance), baseline=baseline, observed=observed, native=native)
    found = detect(safe, model=None)
    assert found.debris_area_m2 == pytest.approx(expected.debris_area_m2, rel=within)
    assert found.observed_area_m2 == pytest.approx(expected.observed_area_m2, rel=0.001)
    assert (found.level, found.processing_baseline) == ("Rayleigh-corrected", baseline)
    assert "from L1C, by our own correction" in found.level_note
    assert not found.level_validated


@pytest.mark.parametrize("baseline", ["02.12", "02.14", "05.09"])
def test_l2a_gives_the_detections_of_the_patch(patch, detect, tmp_path: Path, baseline: str) -> None:
    reflectance, observed, expected = patch
    # At 10 m throughout: a real 20 m band is coarser than MARIDA's, whose pixels were moved when it was made.
    safe = write_l2a(tmp_path, template(baseline), reflectance, observed=observed, native=False)
    found = detect(safe, model=None)
    assert found.debris_area_m2 == pytest.approx(expected.debris_area_m2, rel=0.02)
    assert (found.level, found.processing_baseline, found.level_validated) == ("L2A", baseline, False)
    assert "not on this" in found.level_note


def test_the_same_as_folder_zip_metadata_and_subdataset(detect, tmp_path: Path) -> None:
    safe = write_l2a(tmp_path, template("05.09"), water())
    main, code = safe / "MTD_MSIL2A.xml", UTM.replace(":", "_")
    subdataset = f"SENTINEL2_L2A:{main}:10m:{code}"
    for given in (safe, zip_folder(safe), main, subdataset):
        assert detect(given).debris_pixels == 10
    # As QGIS names it, where the product was dragged in as a layer.
    assert detect(input=subdataset).debris_pixels == 10
    assert json.loads(json.dumps(detect(safe).sensing_time)) == "2023-08-21T22:20:45Z"


def test_fields_say_where_and_when(detect, tmp_path: Path) -> None:
    scene = water()
    scene[:, :, :20] = np.linspace(0.08, 0.3, 11, dtype=np.float32)[:, None, None]
    cloud = np.zeros(scene.shape[1:], dtype=bool)
    cloud[:12, 84:] = True
    found = detect(write_l1c(tmp_path, top_of_atmosphere(scene), cloud=cloud))
    assert found.detection_count == 1
    table = table_of(tmp_path)
    assert table["level"][0] == "Rayleigh-corrected"
    assert table["sensing_time"][0] == "2020-07-28T16:18:44Z"
    assert table["product_id"][0].startswith("S2A_MSIL1C_20200728T160829")
    assert table["baseline"][0] == "05.09"
    # From column 60 to land in column 19, and from row 60, column 69 to cloud in row 11, column 84.
    assert table["land_m"][0] == pytest.approx(410, abs=15)
    assert table["cloud_m"][0] == pytest.approx(10 * np.hypot(49, 15), abs=25)
    assert table["glint_b11"][0] == pytest.approx(0.004, abs=0.0005)
    assert table["glint"][0] == "no"
    assert table["second"][0] == "Water"
    assert not found.glinting
    mask = mask_of(tmp_path)
    assert (mask[:, :20] == LAND).mean() > 0.8
    assert found.land_area_m2 == (mask == LAND).sum() * 100
    assert found.cloud_area_m2 == (mask == CLOUD).sum() * 100
    assert found.not_observed_area_m2 == found.land_area_m2 + found.cloud_area_m2 + found.no_data_area_m2


def test_glint_is_told(detect, tmp_path: Path) -> None:
    scene = water()
    scene[MARIDA_ORDER.index("B11")] = 0.022
    found = detect(write_l2a(tmp_path, template("05.09"), scene))
    assert found.glinting
    assert found.glint_b11 == pytest.approx(0.022, abs=0.0002)
    assert list(table_of(tmp_path)["glint"]) == ["yes"]


def test_accra_in_one_step(detect, accra: Path, tmp_path: Path) -> None:
    with rasterio.open(next(accra.glob("*B08*"))) as band:
        stored, transform = band.read(1)[300:700, 200:700], band.transform
    corners = [transform @ corner for corner in ((200, 700), (700, 300))]
    found = detect(accra, extent=(*corners[0], *corners[1]))
    mask = mask_of(tmp_path)
    assert mask.shape == stored.shape
    assert (stored == 0).mean() > 0.1
    assert (mask[stored == 0] == NO_DATA).mean() > 0.999
    assert found.level == "L2A"
    pixel = abs(transform.a * transform.e)
    assert pixel != pytest.approx(100, rel=0.001)
    assert found.observed_area_m2 == pytest.approx(found.observed_pixels * pixel, rel=1e-6)
    lon, lat = Transformer.from_crs("EPSG:32630", 4326, always_xy=True).transform(
        *(transform @ np.array([(900, 700), (901, 700), (901, 701), (900, 701)]).T)
    )
    assert pixel == pytest.approx(abs(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0]), rel=0.003)


def test_practice_scene_with_coast_cloud_and_ships(detect, tmp_path: Path) -> None:
    """With the bundled model: nothing on land or near cloud, and no debris taken for land."""
    tile = PracticeScene(21, 384, 384, SceneOptions(density=2.0)).render(Window(0, 0, 384, 384))
    cloudy = ndimage.binary_opening(tile.classes == 6, np.ones((13, 13)))
    safe = write_l1c(tmp_path, top_of_atmosphere(tile.reflectance), observed=tile.observed, cloud=cloudy, native=False)
    found = detect(safe, model=None)
    mask = mask_of(tmp_path)
    land = tile.classes == 16
    assert land.sum() > 1000
    assert cloudy.sum() > 100
    assert found.debris_pixels > 100
    assert not (mask[land] == 1).any()
    assert not (mask[ndimage.distance_transform_edt(~cloudy) <= 5] == 1).any()
    debris = (tile.classes == 1) & (ndimage.distance_transform_edt(~land) > 3)
    assert (mask[debris] != LAND).mean() >= 0.98


def polygons(path: Path, shapes: list[shapely.Geometry], crs: str = UTM) -> str:
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array(shapes, dtype=object)), [], fields=[], geometry_type="Polygon", crs=crs
    )
    return str(path)


def box(left: int, top: int, right: int, bottom: int) -> shapely.Polygon:
    """Pixel columns and rows as a polygon in the CRS of the scenes."""
    x, y = ORIGIN
    return shapely.box(x + 10 * left, y - 10 * bottom, x + 10 * right, y - 10 * top)


def lonlat(shape: shapely.Polygon) -> shapely.Polygon:
    to = Transformer.from_crs(UTM, 4326, always_xy=True)
    fine = shapely.segmentize(shape, 50)
    return shapely.transform(fine, lambda xy: np.stack(to.transform(xy[:, 0], xy[:, 1]), axis=1))


@pytest.mark.parametrize("kind", ["polygons", "other CRS", "raster", "other raster"])
def test_own_area_and_water(detect, tmp_path: Path, kind: str) -> None:
    """AREA is the left 66 columns, WATER all but the 40 upper rows, with a shore of 3 pixels."""
    safe = write_l2a(tmp_path, template("05.09"), water())
    if kind == "polygons":
        area = polygons(tmp_path / "area.gpkg", [box(0, 0, 66, 120)])
        sea = polygons(tmp_path / "water.gpkg", [box(-99, 40, 500, 500)]) + "|layername=water"
    elif kind == "other CRS":
        area = polygons(tmp_path / "area.geojson", [lonlat(box(0, 0, 66, 120))], "EPSG:4326")
        sea = polygons(tmp_path / "water.shp", [lonlat(box(-99, 40, 500, 500))], "EPSG:4326")
    else:
        step = 10 if kind == "raster" else 5
        inside = np.zeros((120 * 10 // step, 120 * 10 // step), dtype=np.uint8)
        inside[:, : 660 // step] = 1
        area = str(tmp_path / "area.tif")
        wet = np.ones_like(inside)
        wet[: 400 // step] = 0
        sea = str(tmp_path / "water.tif")
        for path, array in ((area, inside), (sea, wet)):
            profile = {"crs": UTM, "transform": Affine(step, 0, ORIGIN[0], 0, -step, ORIGIN[1])}
            with rasterio.open(path, "w", driver="GTiff", count=1, dtype="uint8", width=array.shape[1],
                               height=array.shape[0], **profile) as dataset:  # fmt: skip
                dataset.write(array, 1)
    found = detect(safe, area=area, water=sea, shore=3)
    mask = mask_of(tmp_path)
    expected = np.zeros((120, 120), dtype=np.uint8)
    expected[60, 60:66] = 1
    expected[:43] = LAND
    expected[:, 66:] = NO_DATA
    np.testing.assert_array_equal(mask, expected)
    assert found.debris_pixels == 6
    assert found.land_area_m2 == 43 * 66 * 100


def test_an_area_beside_the_scene(detect, tmp_path: Path) -> None:
    safe = write_l2a(tmp_path, template("05.09"), water())
    away = polygons(tmp_path / "area.gpkg", [box(5000, 0, 5100, 100)])
    with pytest.raises(RasterError, match=r"AREA \(.*\) does not touch the scene"):
        detect(safe, area=away)
    assert not (tmp_path / "mask.tif").exists()


def test_no_water_is_a_result(detect, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    land = np.broadcast_to(np.linspace(0.08, 0.3, 11, dtype=np.float32)[:, None, None], (11, 120, 120))
    found = detect(write_l1c(tmp_path, top_of_atmosphere(land)))
    assert (found.observed_pixels, found.detection_count) == (0, 0)
    assert found.land_area_m2 == 120 * 120 * 100
    assert "No open water was found" in caplog.text
    assert (mask_of(tmp_path) == LAND).all()


def test_the_log_says_what_product_it_is(detect, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="engine")
    safe = write_l2a(tmp_path, template("05.09"), water(60, 60))
    detect(safe)
    assert f"Product {safe.stem}: level L2A, " in caplog.text
    assert ", processing baseline 05.09, " in caplog.text


def test_masks_may_be_switched_off(detect, tmp_path: Path) -> None:
    classes = np.full((120, 120), 6, dtype=np.uint8)
    classes[:, :80] = 9
    safe = write_l2a(tmp_path, template("05.09"), water(), classes=classes)
    assert detect(safe).debris_pixels == 0
    assert detect(safe, masks="none").debris_pixels == 10
    assert detect(safe, masks="image").debris_pixels == 10


def test_extent_of_a_product_in_another_crs(detect, tmp_path: Path) -> None:
    safe = write_l2a(tmp_path, template("05.09"), water())
    found = detect(safe, extent=lonlat(box(50, 50, 65, 70)).bounds, extent_crs="EPSG:4326")
    # The sixth by the turn between the two CRSs.
    assert found.debris_pixels in (5, 6)
    assert mask_of(tmp_path).shape[0] < 25


def _cut_zip(folder: Path) -> Path:
    path = zip_folder(write_l1c(folder, top_of_atmosphere(water(60, 60))))
    path.write_bytes(path.read_bytes()[:-3000])
    return path


def _no_b11(folder: Path) -> Path:
    safe = write_l1c(folder, top_of_atmosphere(water(60, 60)))
    next(safe.rglob("*_B11.jp2")).unlink()
    return safe


def _two_granules(folder: Path) -> Path:
    safe = write_l1c(folder, top_of_atmosphere(water(60, 60)))
    granule = next((safe / "GRANULE").iterdir())
    (granule.parent / "L1C_T16PDC_A026634_20200728T160829").mkdir()
    (granule.parent / "L1C_T16PDC_A026634_20200728T160829" / "MTD_TL.xml").write_bytes(b"<a/>")
    return safe


def _picture(folder: Path) -> Path:
    safe = write_l1c(folder, top_of_atmosphere(water(60, 60)))
    return next(safe.rglob("*_TCI.jp2"))


@pytest.mark.parametrize(
    ("make", "options", "error", "words"),
    [
        (lambda f: write_l1c(f, top_of_atmosphere(water(60, 60))), {"level": "L2A"}, RequestError,
         "is a product of level L1C, but LEVEL says L2A"),
        (_no_b11, {}, BandError, r"lacks B11 \(.*_B11\)"),
        (_cut_zip, {}, RasterError, "no complete zip.*cut short"),
        (_two_granules, {}, RasterError, "holds 2 granules"),
        (_picture, {}, RasterError, "picture made for viewing"),
        (lambda f: write_l1c(f, top_of_atmosphere(water(60, 60))), {"bands": "B1=1"}, RequestError,
         "Leave BANDS empty"),
        (lambda f: write_l1c(f, top_of_atmosphere(water(60, 60))), {"offset": -0.1}, RequestError,
         "leave SCALE and OFFSET empty"),
    ],
)  # fmt: skip
def test_wrong_products_get_one_message(
    detect, tmp_path: Path, make: Callable[[Path], Path], options: dict, error: type[EngineError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        detect(make(tmp_path), **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "mask.tif").exists()
    assert not list(tmp_path.glob(".debris-*"))


def test_a_preview_as_input(detect, tmp_path: Path) -> None:
    with pytest.raises(BandError, match=r"TCI.jp2 has 3 bands of 8 bits.*a picture made for viewing"):
        detect(input=str(_picture(tmp_path)))


def test_a_raster_says_its_level_or_is_told(detect, make_raster) -> None:
    path = make_raster(water())
    found = detect(input=str(path))
    assert (found.level, found.level_validated) == (None, False)
    assert "Set LEVEL" in found.level_note
    assert detect(input=str(path), level="Rayleigh-corrected").level_validated
    assert detect(input=str(path), level="L2A").level_note.startswith("Level L2A: the model was validated on")
    with pytest.raises(RequestError, match="angles are in the product's metadata"):
        detect(input=str(path), level="L1C")


def test_one_of_input_and_product() -> None:
    for values in ({}, {"input": "a.tif", "product": ("b.zip",)}):
        with pytest.raises(RequestError, match="Name one of input"):
            DetectRequest(mask="m.tif", **values)  # type: ignore[arg-type]


def test_single_files_by_name(detect, tmp_path: Path) -> None:
    folder = tmp_path / "bands"
    folder.mkdir()
    for band, array in zip(MARIDA_ORDER, water(), strict=True):
        write_image(folder / f"T16PCC_20200728T160829_{band}.tif", array, 10)
    assert detect(folder).debris_pixels == 10
    found = detect(*sorted(folder.iterdir()), level="Rayleigh-corrected")
    assert (found.debris_pixels, found.level_validated) == (10, True)


def test_a_scene_may_be_shifted_to_the_usual_level_of_water(detect, make_raster, tmp_path: Path) -> None:
    """The same mask, whatever each band's correction was wrong by; without the shift another."""
    scene = water()
    usual = usual_water(MARIDA_ORDER)
    scene += (usual - np.median(scene, axis=(1, 2)))[:, None, None]
    wrong = np.random.default_rng(3).uniform(-0.004, 0.012, (11, 1, 1)).astype(np.float32)
    wrong[MARIDA_ORDER.index("B8")] = 0.09
    path = make_raster(scene + wrong)
    assert detect(input=str(path), level="L2A").debris_pixels == 120 * 120
    assert detect(input=str(path), level="L2A", shift_to_water=True).debris_pixels == 10
    with rasterio.open(tmp_path / "mask.tif") as written:
        assert "shifted to the usual level of water" in written.tags()["REFLECTANCE"]
