"""Products that are damaged, incomplete, ambiguous or something else: one clear message each."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from safe_builder import to_dn, write_image, write_l1c, zip_folder

from engine.bands import MARIDA_ORDER
from engine.errors import BandError, EngineError, RasterError, ReflectanceError
from engine.sentinel2.product import open_product

SIZE = 60


@pytest.fixture
def safe(tmp_path: Path) -> Path:
    """A small L1C product."""
    return write_l1c(tmp_path, np.full((11, SIZE, SIZE), 0.1, dtype=np.float32))


def message(path: object) -> str:
    """What opening says: one line that a person can read."""
    with pytest.raises(EngineError) as caught:
        open_product(path)  # type: ignore[arg-type]
    text = str(caught.value)
    assert isinstance(caught.value, RasterError | ReflectanceError)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


def test_nothing_there(tmp_path: Path) -> None:
    assert re.search(r"There is no file or folder .*gone", message(tmp_path / "gone"))
    assert "There is no file" in message(tmp_path / "gone.nc")
    assert "There is no file" in message([tmp_path / "B02.tif"])
    assert "list of files is empty" in message([])


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "no file whose name tells a Sentinel-2 band" in message(tmp_path)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_zip_cut_short(safe: Path, share: float) -> None:
    packed = zip_folder(safe)
    whole = packed.read_bytes()
    packed.write_bytes(whole[: int(len(whole) * share)])
    text = message(packed)
    assert str(packed) in text
    assert "cut short" in text
    assert "Download it again" in text


def test_a_damaged_metadata_member(safe: Path) -> None:
    packed = zip_folder(safe)
    data = packed.read_bytes()
    packed.write_bytes(data.replace(b"<PROCESSING_BASELINE>05.09", b"<PROCESSING_BASELINE>05.XX"))
    assert "no complete zip" in message(packed)


def test_a_missing_band_is_named(safe: Path) -> None:
    (image,) = safe.glob("GRANULE/*/IMG_DATA/*_B8A.jp2")
    image.unlink()
    product = open_product(safe)
    assert "B8A" not in product.bands
    with pytest.raises(BandError, match=r"lacks B8A \(GRANULE/.*_B8A\)") as caught:
        product.as_vrt(MARIDA_ORDER)
    assert "download it again" in str(caught.value)
    # The others can still be used.
    assert "_B02.jp2" in product.as_vrt(("B2",))


def test_a_damaged_image(safe: Path) -> None:
    (image,) = safe.glob("GRANULE/*/IMG_DATA/*_B02.jp2")
    image.write_bytes(image.read_bytes()[:100])
    with pytest.raises(RasterError, match=r"_B02\.jp2 cannot be opened as a raster"):
        open_product(safe).as_vrt(MARIDA_ORDER)


def test_metadata_without_images(safe: Path) -> None:
    shutil.rmtree(next(safe.glob("GRANULE/*")) / "IMG_DATA")
    text = message(safe)
    assert "none of its images" in text
    assert "_B01" in text


def test_no_granule(safe: Path) -> None:
    shutil.rmtree(safe / "GRANULE")
    assert "no GRANULE folder" in message(safe)


def test_no_granule_metadata(safe: Path) -> None:
    next(safe.glob("GRANULE/*/MTD_TL.xml")).unlink()
    assert "no MTD_TL.xml" in message(safe)


def test_two_granules(safe: Path) -> None:
    (granule,) = safe.glob("GRANULE/*")
    shutil.copytree(granule, granule.with_name("L1C_T16PDC_A026634_20200728T160829"))
    text = message(safe)
    assert "holds 2 granules" in text
    assert granule.name in text
    assert "choose the folder of one" in text


def test_two_products_in_a_folder(safe: Path) -> None:
    shutil.copytree(safe, safe.with_name("S2B_OTHER.SAFE"))
    text = message(safe.parent)
    assert "holds 2 products" in text
    assert "S2B_OTHER.SAFE" in text


def test_two_granules_as_single_files(tmp_path: Path) -> None:
    for name in ("T16PCC_20200728T160829_B02", "T16PDC_20200728T160829_B03"):
        write_image(tmp_path / f"{name}.jp2", np.full((SIZE, SIZE), 500, np.uint16), 10)
    text = message(tmp_path)
    assert "files of 2 granules" in text
    assert "T16PCC of 2020-07-28 16:08" in text


def test_two_files_for_a_band(tmp_path: Path) -> None:
    for name in ("one_B02", "two_B02"):
        write_image(tmp_path / f"{name}.tif", np.full((SIZE, SIZE), 500, np.uint16), 10)
    assert "two files for B2 (one_B02.tif and two_B02.tif)" in message(tmp_path)


def test_pictures(safe: Path, tmp_path: Path) -> None:
    (picture,) = safe.glob("GRANULE/*/IMG_DATA/*_TCI.jp2")
    assert "a picture made for viewing" in message(picture)
    alone = tmp_path / "pictures"
    alone.mkdir()
    shutil.copy(picture, alone)
    assert "holds a picture made for viewing" in message(alone)
    assert "picture for viewing" in message(f"SENTINEL2_L1C:{safe}/MTD_MSIL1C.xml:TCI:EPSG_32616")
    assert "picture for viewing" in message(f"SENTINEL2_L1C:{safe}/MTD_MSIL1C.xml:PREVIEW")


def test_a_picture_named_like_a_band(tmp_path: Path, make_raster: Callable[..., Path]) -> None:
    make_raster(np.zeros((3, SIZE, SIZE), dtype=np.uint8), name="B02.tif", names=None)
    assert "holds 3 bands" in message(tmp_path)


def test_one_image_of_a_product(safe: Path) -> None:
    (image,) = safe.glob("GRANULE/*/IMG_DATA/*_B02.jp2")
    assert "is one raster, no product" in message(image)


def test_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert "is no Sentinel-2 product" in message(tmp_path / "notes.txt")
    (tmp_path / "MTD_MSIL1C.xml").write_text("<html/>")
    assert "its root is html" in message(tmp_path / "MTD_MSIL1C.xml")
    (tmp_path / "x.nc").write_bytes(b"CDF\x01 no")
    assert "cannot be opened as NetCDF" in message(tmp_path / "x.nc")


def test_a_granule_without_its_product(safe: Path) -> None:
    (safe / "MTD_MSIL1C.xml").unlink()
    (granule,) = safe.glob("GRANULE/*")
    assert "is not beside GRANULE" in message(granule)
    assert "is not beside GRANULE" in message(granule / "MTD_TL.xml")


def test_acolite_without_rhorc(tmp_path: Path) -> None:
    from test_sentinel2_product import write_acolite

    scene = (np.full((11, SIZE, SIZE), 0.1, dtype=np.float32), np.ones((SIZE, SIZE), dtype=bool))
    text = message(write_acolite(tmp_path / "L2R.nc", scene, prefix="rhos"))
    assert "no Rayleigh-corrected reflectance" in text
    assert "output_rhorc=True" in text


def test_files_with_and_without_scale(tmp_path: Path) -> None:
    for name in ("B02", "B03"):
        write_image(tmp_path / f"{name}.tif", to_dn(np.full((SIZE, SIZE), 0.1), 0), 10)
    with rasterio.open(tmp_path / "B03.tif", "r+") as dataset:
        dataset.scales = (1e-4,)
    text = message(tmp_path)
    assert "B2 have no scale and offset" in text
    assert "set SCALE and OFFSET" in text


def test_files_of_different_places(tmp_path: Path) -> None:
    write_image(tmp_path / "B02.tif", np.full((SIZE, SIZE), 500, np.uint16), 10)
    write_image(tmp_path / "B03.tif", np.full((SIZE, SIZE), 500, np.uint16), 10)
    with rasterio.open(tmp_path / "B03.tif", "r+") as dataset:
        dataset.transform = dataset.transform @ rasterio.Affine.translation(5, 0)
    with pytest.raises(RasterError, match="not of one scene"):
        open_product(tmp_path).as_vrt()
    with rasterio.open(tmp_path / "B03.tif", "r+") as dataset:
        dataset.crs = "EPSG:32617"
    with pytest.raises(RasterError, match="has the CRS EPSG:32617"):
        open_product(tmp_path).as_vrt()


def test_an_item_without_its_images(tmp_path: Path) -> None:
    (tmp_path / "item.json").write_text(
        '{"type": "Feature", "stac_version": "1.0.0", "id": "x", "assets": {"B02": {"href": "https://example.com/B02.tif"}}}'
    )
    assert "None of the images of item.json lies beside it (first: B02.tif)" in message(tmp_path / "item.json")
