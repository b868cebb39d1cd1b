"""Products opened in every way a person has them, read back as reflectance."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window as RasterWindow
from safe_builder import ORIGIN, UTM, to_dn, write_image, write_l1c, write_l2a, zip_folder
from scipy.io import netcdf_file

from engine.bands import BAND_NAMES, MARIDA_ORDER
from engine.errors import BandError, RequestError
from engine.raster import open_scene
from engine.sentinel2.cloudmask import cloud_polygons
from engine.sentinel2.product import Product, is_product, open_product
from engine.sentinel2.vrt import opened
from engine.tiling import Window

METADATA = Path(__file__).parents[3] / "shared" / "data" / "sentinel2_metadata"
TEMPLATES = {"02.12": "*_N0212_*.SAFE", "02.14": "*_N0214_*.SAFE", "05.09": "*_N0509_*.SAFE"}
SIZE = 60

Scene = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Reflectance (11, 60, 60), constant in 60 m cells so that coarse bands hold it too, and where there is data."""
    rng = np.random.default_rng(5)
    cells = rng.uniform(-0.01, 0.3, (11, SIZE // 6, SIZE // 6)).astype(np.float32)
    observed = np.ones((SIZE, SIZE), dtype=bool)
    observed[:12, :18] = False
    return cells.repeat(6, axis=1).repeat(6, axis=2), observed


def template(baseline: str) -> Path:
    found = list(METADATA.glob(TEMPLATES[baseline]))
    if not found:
        pytest.skip("real Sentinel-2 metadata is not on this machine")
    return found[0]


def l2a(folder: Path, baseline: str, scene: Scene, **options: object) -> Path:
    return write_l2a(folder, template(baseline), scene[0], observed=scene[1], **options)  # type: ignore[arg-type]


def check(product: Product, scene: Scene, lowest: float = -1) -> None:
    """The product, read as the engine reads any raster, is the scene to half a DN, and 0 DN is no data."""
    with open_scene(product.as_vrt(MARIDA_ORDER), MARIDA_ORDER) as raster:
        reflectance, observed = raster.read(Window(0, 0, SIZE, SIZE))
        assert raster.grid.transform == Affine(10, 0, ORIGIN[0], 0, -10, ORIGIN[1])
        assert raster.grid.crs == UTM
    np.testing.assert_array_equal(observed, scene[1])
    expected = np.maximum(scene[0], lowest)
    np.testing.assert_allclose(reflectance[:, observed], expected[:, observed], atol=6e-5)


@pytest.mark.parametrize("baseline", ["02.12", "02.14", "05.09"])
def test_l2a_as_folder_zip_metadata_and_subdataset(tmp_path: Path, scene: Scene, baseline: str) -> None:
    safe = l2a(tmp_path, baseline, scene)
    with opened(str(safe / "MTD_MSIL2A.xml")) as dataset:
        subdatasets = dataset.subdatasets
    packed = zip_folder(safe)
    with opened(f"/vsizip/{packed}/{safe.name}/MTD_MSIL2A.xml") as dataset:
        subdatasets += dataset.subdatasets
    assert len(subdatasets) == 8
    granule = next(safe.glob("GRANULE/*"))
    ways = [
        safe, str(safe), safe / "MTD_MSIL2A.xml", granule, granule / "MTD_TL.xml", packed, f"/vsizip/{packed}",
        f"/vsizip/{packed}/{safe.name}", f"/vsizip/{packed}/{safe.name}/MTD_MSIL2A.xml",
        f"/vsizip/{{{packed}}}/{safe.name}/MTD_MSIL2A.xml", f"/vsizip/{packed}/{safe.name}/GRANULE/{granule.name}",
        f"/vsizip/{packed}/{safe.name}/GRANULE/{granule.name}/MTD_TL.xml", granule / "IMG_DATA",
            *[name for name in subdatasets if ":TCI:" not in name],
    ]  # fmt: skip
    # Without an offset reflectance begins at DN 1.
    lowest = 1e-4 if baseline < "04" else -1
    for way in ways:
        product = open_product(way)
        assert (product.level, product.processing_baseline, product.product_id) == ("L2A", baseline, safe.stem), way
        assert list(product.bands) == [band for band in BAND_NAMES if band != "B10"]
        check(product, scene, lowest)
        assert is_product(str(way))


@pytest.mark.parametrize("baseline", ["02.09", "05.10"])
def test_l1c(tmp_path: Path, scene: Scene, baseline: str) -> None:
    safe = write_l1c(tmp_path, scene[0], baseline=baseline, observed=scene[1])
    with opened(str(safe / "MTD_MSIL1C.xml")) as dataset:
        subdatasets = dataset.subdatasets
    assert len(subdatasets) == 4
    for name in (*subdatasets, f"SENTINEL2_L1C_TILE:{next(safe.glob('GRANULE/*/MTD_TL.xml'))}:10m"):
        if name.split(":")[2] in ("10m", "20m", "60m"):
            check(open_product(name), scene, 1e-4 if baseline < "04" else -1)
    for way in (safe, zip_folder(safe), safe / "MTD_MSIL1C.xml", safe.parent):
        if way == safe.parent:
            safe.with_suffix(".zip").unlink()
        product = open_product(way)
        assert (product.level, product.processing_baseline, product.tile) == ("L1C", baseline, "T16PCC")
        assert product.sensing_time == datetime(2020, 7, 28, 16, 18, 44, 123456, tzinfo=timezone.utc)
        assert list(product.bands) == list(BAND_NAMES)
        assert product.angles is not None
        assert product.angles.view_zenith["B8A"] == 7
        check(product, scene, 1e-4 if baseline < "04" else -1)


def test_what_the_raster_says_of_itself(tmp_path: Path, scene: Scene) -> None:
    product = open_product(write_l1c(tmp_path, scene[0], baseline="05.10"))
    with rasterio.open(product.as_vrt(("B8A", "B1", "B10"))) as dataset:
        assert dataset.descriptions == ("B8A", "B1", "B10")
        assert dataset.shape == (SIZE, SIZE)
        assert dataset.nodatavals == (0, 0, 0)
        assert dataset.scales == pytest.approx((1e-4,) * 3)
        assert dataset.offsets == pytest.approx((-0.1,) * 3)
        tags = dataset.tags()
    assert tags["level"] == "L1C"
    assert tags["processing_baseline"] == "05.10"
    assert tags["sensing_time"] == "2020-07-28T16:18:44Z"
    assert tags["tile"] == "T16PCC"
    assert tags["product_id"].startswith("S2A_MSIL1C_")


def test_coarse_pixels_are_repeated_and_not_smoothed(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    fine = rng.uniform(0.01, 0.3, (11, SIZE, SIZE)).astype(np.float32)
    product = open_product(write_l1c(tmp_path, fine, baseline="05.10"))
    with rasterio.open(product.as_vrt(("B2", "B11", "B1"))) as dataset:
        found = dataset.read()
    numbers = to_dn(fine, -1000)
    np.testing.assert_array_equal(found[0], numbers[1])
    np.testing.assert_array_equal(found[1], numbers[9, ::2, ::2].repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(found[2], numbers[0, ::6, ::6].repeat(6, 0).repeat(6, 1))


def test_any_window_is_a_piece_of_the_whole(tmp_path: Path) -> None:
    """Windows that begin and end within a coarse pixel must not shift it."""
    rng = np.random.default_rng(3)
    product = open_product(write_l1c(tmp_path, rng.uniform(0.01, 0.3, (11, 240, 240)).astype(np.float32)))
    with rasterio.open(product.as_vrt(("B2", "B11", "B1"))) as dataset:
        whole = dataset.read()
        for _ in range(40):
            height, width = rng.integers(1, 200, 2)
            row, col = rng.integers(0, 241 - height), rng.integers(0, 241 - width)
            part = dataset.read(window=RasterWindow(col, row, width, height))
            np.testing.assert_array_equal(part, whole[:, row : row + height, col : col + width])


def test_scene_classification(tmp_path: Path, scene: Scene) -> None:
    classes = np.full((SIZE, SIZE), 6, dtype=np.uint8)
    classes[20:40, 10:30] = 9
    product = open_product(l2a(tmp_path, "05.09", scene, classes=classes))
    text = product.scene_classification_vrt()
    assert text is not None
    with rasterio.open(text) as dataset:
        assert (dataset.descriptions, dataset.transform.a) == (("SCL",), 10)
        np.testing.assert_array_equal(dataset.read(1), classes)


def test_cloud_masks_of_l1c(tmp_path: Path, scene: Scene) -> None:
    cloud = np.zeros((SIZE, SIZE), dtype=bool)
    cloud[12:30, 18:42] = True
    late = open_product(write_l1c(tmp_path / "late", scene[0], baseline="05.10", cloud=cloud))
    assert cloud_polygons(late) == []
    text = late.cloud_mask_vrt()
    assert text is not None
    with rasterio.open(text) as dataset:
        assert dataset.descriptions == ("opaque cloud", "cirrus", "snow")
        np.testing.assert_array_equal(dataset.read(1), cloud)
    early = open_product(zip_folder(write_l1c(tmp_path / "early", scene[0], baseline="02.09", cloud=cloud)))
    assert early.cloud_mask_vrt() is None
    (polygon,) = cloud_polygons(early)
    assert polygon.kind == "OPAQUE"
    west, south, east, north = polygon.geometry.bounds
    assert (west, north) == (ORIGIN[0] + 180, ORIGIN[1] - 120)
    assert (east, south) == (ORIGIN[0] + 420, ORIGIN[1] - 300)
    assert polygon.geometry.area == cloud.sum() * 100


def test_images_as_geotiff(tmp_path: Path, scene: Scene) -> None:
    check(open_product(l2a(tmp_path, "02.12", scene, ending=".tif")), scene, 1e-4)


def test_all_bands_on_the_10_m_grid(tmp_path: Path, scene: Scene) -> None:
    check(open_product(l2a(tmp_path, "05.09", scene, native=False)), scene)


def test_the_finest_image_of_a_band_is_taken(tmp_path: Path, scene: Scene) -> None:
    safe = l2a(tmp_path, "05.09", scene)
    (fine,) = safe.glob("GRANULE/*/IMG_DATA/R10m/*_B02_10m.jp2")
    for step in (20, 60):
        coarse = fine.parents[1] / f"R{step}m" / fine.name.replace("_10m", f"_{step}m")
        write_image(coarse, np.full((SIZE, SIZE), 9999, np.uint16), step)
    product = open_product(safe)
    assert product.bands["B2"].path == str(fine)
    check(product, scene)


def test_names_of_before_december_2016(tmp_path: Path, scene: Scene) -> None:
    safe = write_l1c(tmp_path, scene[0], baseline="02.09", observed=scene[1])
    old = "S2A_OPER_MSI_L1C_TL_EPA__20160605T113933_A000734_T16PCC"
    (granule,) = safe.glob("GRANULE/*")
    for image in granule.glob("IMG_DATA/*.jp2"):
        image.rename(image.with_name(f"{old}_{image.stem.rsplit('_', 1)[1]}.jp2"))
    (granule / "MTD_TL.xml").rename(granule / f"{old.replace('_MSI_', '_MTD_')}.xml")
    granule.rename(granule.with_name(f"{old}_N02.09"))
    metadata = (safe / "MTD_MSIL1C.xml").read_text()
    lines = [line for line in metadata.splitlines() if "<IMAGE_FILE>" not in line]
    identifiers = "".join(f"<IMAGE_ID>{old}_B{n:02d}</IMAGE_ID>" for n in range(1, 13))
    text = "\n".join(lines).replace("</Granule>", f"{identifiers}</Granule>")
    (safe / "S2A_OPER_MTD_SAFL1C_PDMC_20160605T172033_R051_V20160605T100000.xml").write_text(text)
    (safe / "MTD_MSIL1C.xml").unlink()
    product = open_product(safe)
    assert list(product.bands) == list(BAND_NAMES)
    check(product, scene, 1e-4)


def test_a_granule_may_be_chosen_where_there_are_several(tmp_path: Path, scene: Scene) -> None:
    safe = write_l1c(tmp_path, scene[0], baseline="05.10", observed=scene[1])
    (granule,) = safe.glob("GRANULE/*")
    shutil.copytree(granule, granule.with_name("L1C_T16PDC_A026634_20200728T160829"))
    check(open_product(granule), scene)


def single_files(folder: Path, scene: Scene, name: str, offset: int = 0, ending: str = "jp2") -> list[Path]:
    """The eleven bands as single files, by a pattern of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for band, layer in zip(MARIDA_ORDER, scene[0], strict=True):
        padded = band if band == "B8A" else f"B{int(band[1:]):02d}"
        step = {"B1": 60, "B2": 10, "B3": 10, "B4": 10, "B8": 10}.get(band, 20)
        paths.append(folder / f"{name.format(band=padded, step=step)}.{ending}")
        write_image(paths[-1], to_dn(layer, offset, scene[1]), step)
    return paths


def test_a_folder_of_single_files(tmp_path: Path, scene: Scene) -> None:
    paths = single_files(tmp_path / "bands", scene, "T36JUN_20190424T073619_{band}_{step}m")
    write_image(tmp_path / "bands" / "T36JUN_20190424T073619_SCL_20m.jp2", np.full((SIZE, SIZE), 6, np.uint8), 20)
    write_image(tmp_path / "bands" / "T36JUN_20190424T073619_TCI_10m.jp2", np.full((SIZE, SIZE), 60, np.uint8), 10)
    # A coarser copy of a band, as L2A products hold them, loses to the finer one.
    write_image(tmp_path / "bands" / "T36JUN_20190424T073619_B02_60m.jp2", np.full((SIZE, SIZE), 9, np.uint16), 60)
    for way in (tmp_path / "bands", paths, [str(path) for path in paths]):
        product = open_product(way)
        assert (product.product_id, product.tile, product.level) == ("T36JUN_20190424T073619", "T36JUN", None)
        assert product.sensing_time == datetime(2019, 4, 24, 7, 36, 19, tzinfo=timezone.utc)
        assert product.bands["B2"].scale is None
        check(product, scene, 1e-4)
    assert open_product(tmp_path / "bands").scene_classification is not None


def test_resolution_folders_and_short_names(tmp_path: Path, scene: Scene) -> None:
    for path in single_files(tmp_path / "all", scene, "{band}"):
        with rasterio.open(path) as dataset:
            step = int(dataset.res[0])
        (tmp_path / "tile" / f"R{step}m").mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / "tile" / f"R{step}m" / path.name)
    check(open_product(tmp_path / "tile"), scene, 1e-4)


def test_a_stac_item_beside_the_files_gives_scale_offset_and_angles(tmp_path: Path, scene: Scene) -> None:
    paths = single_files(tmp_path / "item", scene, "{band}", offset=-1000, ending="tif")
    properties = {
        "datetime": "2023-08-21T22:19:41Z", "s2:processing_baseline": "05.09", "view:sun_elevation": 51.5,
        "view:sun_azimuth": 43.3, "s2:product_uri": "S2A_MSIL2A_20230821T221941_N0509_R029_T01KAB_20230822T021825.SAFE",
    }  # fmt: skip
    assets = {
        path.stem: {"href": f"https://example.com/{path.name}", "raster:bands": [{"scale": 1e-4, "offset": -0.1}]}
        for path in paths
    }
    item = {"type": "Feature", "stac_version": "1.0.0", "id": "x", "properties": properties, "assets": assets}
    (tmp_path / "item" / "item.json").write_text(json.dumps(item))
    for way in (tmp_path / "item", tmp_path / "item" / "item.json"):
        product = open_product(way)
        assert (product.level, product.tile, product.processing_baseline) == ("L2A", "T01KAB", "05.09")
        assert product.angles is not None
        assert product.angles.sun_zenith == pytest.approx(38.5)
        check(product, scene)


def test_scale_and_offset_of_the_files_own_tags(tmp_path: Path, scene: Scene) -> None:
    for path in single_files(tmp_path, scene, "{band}", offset=-1000, ending="tif"):
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = (1e-4,), (-0.1,)
    product = open_product(tmp_path)
    assert product.bands["B12"].offset == -0.1
    check(product, scene)


def test_accra(accra: Path) -> None:
    product = open_product(accra)
    assert tuple(product.bands) == MARIDA_ORDER
    assert (product.level, product.processing_baseline, product.sensing_time) == ("L2A", None, None)
    assert product.product_id == "2018-10-31-00_00_2018-10-31-23_59_Sentinel-2_L2A"
    one = accra / "2018-10-31-00_00_2018-10-31-23_59_Sentinel-2_L2A_B8A_(Raw).tiff"
    with rasterio.open(one) as dataset:
        expected, transform = dataset.read(1), dataset.transform
    with open_scene(product.as_vrt(), MARIDA_ORDER) as raster:
        assert raster.grid.transform == transform
        reflectance, observed = raster.read(Window(0, 0, *expected.shape))
    np.testing.assert_array_equal(reflectance[8][observed], expected[observed])
    # Land was cut away by zeros, of all bands alike.
    assert 0.2 < 1 - observed.mean() < 0.3


def write_acolite(path: Path, scene: Scene, prefix: str = "rhorc") -> Path:
    """An L2R file as ACOLITE lays it out, in NetCDF's classic format."""
    waves = (443, 492, 560, 665, 704, 740, 783, 833, 865, 1614, 2202)
    with netcdf_file(path, "w") as file:
        file.isodate, file.sensor = "2019-04-24T07:36:19.024000+00:00", "S2A_MSI"
        file.oname = "S2A_MSI_2019_04_24_07_36_19_T16PCC_L2R"
        file.createDimension("y", SIZE)
        file.createDimension("x", SIZE)
        for name, start, step, standard in (("x", ORIGIN[0] + 5, 10, "x"), ("y", ORIGIN[1] - 5, -10, "y")):
            axis = file.createVariable(name, "f8", (name,))
            axis[:] = start + step * np.arange(SIZE)
            axis.standard_name, axis.units = f"projection_{standard}_coordinate", "m"
        projection = file.createVariable("transverse_mercator", "i4", ())
        projection.spatial_ref = rasterio.crs.CRS.from_epsg(32616).to_wkt().encode()
        projection.grid_mapping_name = "transverse_mercator"
        for wave, layer in zip(waves, scene[0], strict=True):
            variable = file.createVariable(f"{prefix}_{wave}", "f4", ("y", "x"))
            variable[:] = np.where(scene[1], layer, np.nan)
            variable.grid_mapping = "transverse_mercator"
            other = file.createVariable(f"rhot_{wave}", "f4", ("y", "x"))
            other[:] = 0.5
            other.grid_mapping = "transverse_mercator"
    return path


def test_acolite(tmp_path: Path, scene: Scene) -> None:
    product = open_product(write_acolite(tmp_path / "S2A_MSI_2019_04_24_L2R.nc", scene))
    assert (product.level, product.tile) == ("Rayleigh-corrected", "T16PCC")
    assert product.sensing_time == datetime(2019, 4, 24, 7, 36, 19, 24000, tzinfo=timezone.utc)
    assert tuple(product.bands) == MARIDA_ORDER
    check(product, scene)


def test_exports_of_acolite_beside_each_other(tmp_path: Path, scene: Scene) -> None:
    waves = (443, 492, 560, 665, 704, 740, 783, 833, 865, 1614, 2202)
    for wave, layer in zip(waves, scene[0], strict=True):
        for kind, values in (("rhorc", layer), ("rhot", layer + 0.1), ("rhos", layer - 0.01)):
            path = tmp_path / f"S2A_MSI_2020_07_28_16_18_44_T16PCC_L2R_{kind}_{wave}.tif"
            write_image(path, np.where(scene[1], values, np.nan).astype(np.float32), 10)
    product = open_product(tmp_path)
    assert (product.level, product.tile) == ("Rayleigh-corrected", "T16PCC")
    check(product, scene)


def test_levels(tmp_path: Path, scene: Scene) -> None:
    product = open_product(write_l1c(tmp_path, scene[0]))
    assert product.checked_level() == product.checked_level("L1C") == "L1C"
    with pytest.raises(RequestError, match=r"is a product of level L1C, but LEVEL says L2A"):
        product.checked_level("L2A")
    with pytest.raises(RequestError, match="use one of auto, L1C, L2A, Rayleigh-corrected"):
        product.checked_level("L2B")
    unknown = open_product(single_files(tmp_path / "bands", scene, "{band}"))
    assert unknown.checked_level() is None
    assert unknown.checked_level("L2A") == "L2A"


def test_a_band_that_no_file_holds(tmp_path: Path, scene: Scene) -> None:
    product = open_product(single_files(tmp_path, scene, "{band}")[:5])
    with pytest.raises(BandError, match=r"lacks B8A, B11\. It has B1, B2, B3, B4, B5\."):
        product.as_vrt(("B2", "B8A", "B11"))


@pytest.mark.parametrize(
    ("name", "expected"), [("x.tif", False), ("x.zip", True), ("x.nc", True), ("MTD_TL.xml", True)]
)
def test_what_is_a_product(tmp_path: Path, name: str, expected: bool) -> None:
    assert is_product(str(tmp_path / name)) is expected
    assert not is_product("/vsizip/x.zip/B02.tif")


def test_the_text_says_nothing_of_files_it_does_not_need(tmp_path: Path, scene: Scene) -> None:
    product = open_product(write_l1c(tmp_path, scene[0]))
    text = product.as_vrt(("B2", "B4"))
    assert text.count("<SourceFilename") == 2
    assert "_B02.jp2" in text
    assert "_B03" not in text
