"""Which file is which, by name."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from engine.sentinel2.naming import is_picture, read_name


@pytest.mark.parametrize(
    ("name", "role", "band", "resolution", "tile", "level"),
    [
        ("B08", "band", "B8", None, None, None),
        ("B8A.jp2", "band", "B8A", None, None, None),
        ("b02.tif", "band", "B2", None, None, None),
        ("T36JUN_20190424T073619_B08_10m.jp2", "band", "B8", 10, "T36JUN", None),
        ("T36JUN_20190424T073619_B8A_20m.jp2", "band", "B8A", 20, "T36JUN", None),
        ("GRANULE/G/IMG_DATA/T36JUN_20190424T073619_B10.jp2", "band", "B10", None, "T36JUN", None),
        ("L2A_T32TQM_20171201T100000_B02_10m.jp2", "band", "B2", 10, "T32TQM", "L2A"),
        ("S2A_OPER_MSI_L1C_TL_EPA__20160605T113933_A000734_T32TQM_B01.jp2", "band", "B1", None, "T32TQM", "L1C"),
        ("2018-10-31-00_00_2018-10-31-23_59_Sentinel-2_L2A_B8A_(Raw).tiff", "band", "B8A", None, None, "L2A"),
        ("2018-10-31-00_00_2018-10-31-23_59_Sentinel-2_L2A_B04_(Raw).tiff", "band", "B4", None, None, "L2A"),
        ("rhorc_833", "band", "B8", None, None, "Rayleigh-corrected"),
        ("S2A_MSI_2018_10_31_10_12_13_T30NZM_L2R_rhorc_1614.tif", "band", "B11", None, "T30NZM", "Rayleigh-corrected"),
        ("nir08.tif", "band", "B8A", None, None, None),
        ("swir16.tif", "band", "B11", None, None, None),
        ("T36JUN_20190424T073619_SCL_20m.jp2", "classes", None, 20, "T36JUN", None),
        ("SCL.tif", "classes", None, None, None, None),
        ("T36JUN_20190424T073619_TCI_10m.jp2", "picture", None, 10, "T36JUN", None),
        ("T36JUN_20190424T073619_PVI.jp2", "picture", None, None, "T36JUN", None),
        ("2018-10-31-00_00_2018-10-31-23_59_Sentinel-2_L2A_True_color.tiff", "picture", None, None, None, "L2A"),
        ("MSK_CLDPRB_20m.jp2", "other", None, 20, None, None),
        ("T36JUN_20190424T073619_AOT_10m.jp2", "other", None, 10, "T36JUN", None),
        ("holiday.tif", "other", None, None, None, None),
        ("B13.tif", "other", None, None, None, None),
    ],
)  # fmt: skip
def test_names(
    name: str, role: str, band: str | None, resolution: int | None, tile: str | None, level: str | None
) -> None:
    found = read_name(name)
    assert (found.role, found.band, found.resolution, found.tile, found.level) == (role, band, resolution, tile, level)


def test_the_time_in_a_name_is_utc() -> None:
    assert read_name("T36JUN_20190424T073619_B08_10m.jp2").sensing_time == datetime(
        2019, 4, 24, 7, 36, 19, tzinfo=timezone.utc
    )


def test_files_of_a_scene_share_its_name() -> None:
    names = [
        "T36JUN_20190424T073619_B08_10m.jp2",
        "T36JUN_20190424T073619_B8A_20m.jp2",
        "T36JUN_20190424T073619_SCL_20m.jp2",
    ]
    assert {read_name(name).scene for name in names} == {"T36JUN_20190424T073619"}
    accra = [f"2018-10-31-00_00_2018-10-31-23_59_Sentinel-2_L2A_{band}_(Raw).tiff" for band in ("B01", "B8A", "B12")]
    assert {read_name(name).scene for name in accra} == {"2018-10-31-00_00_2018-10-31-23_59_Sentinel-2_L2A"}


def test_pictures() -> None:
    assert is_picture("S2A_preview.tif")
    assert not is_picture("B04.tif")
