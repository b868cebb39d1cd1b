"""What the metadata files say: every file of the real ones, and what must be refused."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from pathlib import Path

import pytest
from safe_builder import L1C_GRANULE, L1C_PRODUCT

from engine.bands import BAND_NAMES
from engine.errors import RasterError
from engine.sentinel2.metadata import granule_metadata, parse_time, parse_xml, product_metadata

METADATA = Path(__file__).parents[3] / "shared" / "data" / "sentinel2_metadata"
real = pytest.mark.skipif(not METADATA.is_dir(), reason="real Sentinel-2 metadata is not on this machine")

EARLY = "S2A_MSIL2A_20190212T192651_N0212_R013_T07HFE_20201007T160857"
MIDDLE = "esa_S2B_MSIL2A_20210122T133229_N0214_R081_T22HBD_20210122T155500"
LATE = "S2A_MSIL2A_20230821T221941_N0509_R029_T01KAB_20230822T021825"

# product, baseline, offset in DN, spacecraft, start of the datatake, centre of B1 in nm
PRODUCTS = [
    (EARLY, "02.12", 0.0, "Sentinel-2A", "2019-02-12T19:26:51.024", 442.7),
    (MIDDLE, "02.14", 0.0, "Sentinel-2B", "2021-01-22T13:32:29.024", 442.3),
    (LATE, "05.09", -1000.0, "Sentinel-2A", "2023-08-21T22:19:41.024", 442.7),
]
# product, tile, time over the tile, CRS, sun zenith and azimuth, view zenith and azimuth of B1, cloud masks
GRANULES = [
    (
        EARLY, "T07HFE", "2019-02-12T19:33:32.161", "EPSG:32707", 32.7070738, 62.3286549, 10.8927843, 290.4882338,
        ["MSK_CLOUDS", "MSK_CLDPRB", "MSK_CLDPRB"],
    ),
    (
        MIDDLE, "T22HBD", "2021-01-22T13:42:49.838906", "EPSG:32722", 32.3712312, 64.9495241, 7.3719146, 287.2979530,
        ["MSK_CLOUDS", "MSK_CLDPRB", "MSK_CLDPRB"],
    ),
    (
        LATE, "T01KAB", "2023-08-21T22:20:45.625508", "EPSG:32701", 38.4174390, 43.3009058, 3.0669609, 176.0792825,
        ["MSK_CLASSI", "MSK_CLDPRB", "MSK_CLDPRB"],
    ),
]  # fmt: skip


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text if "." not in text else f"{text:0<26}").replace(tzinfo=timezone.utc)


@real
@pytest.mark.parametrize(("name", "baseline", "offset", "spacecraft", "start", "first"), PRODUCTS)
def test_real_products(name: str, baseline: str, offset: float, spacecraft: str, start: str, first: float) -> None:
    path = METADATA / f"{name}.SAFE" / "MTD_MSIL2A.xml"
    found = product_metadata(path.read_bytes(), str(path))
    assert found.product_id == name.removeprefix("esa_")
    assert (found.level, found.processing_baseline, found.spacecraft) == ("L2A", baseline, spacecraft)
    assert found.quantification == 10000
    assert found.sensing_time == utc(start)
    for band in BAND_NAMES:
        assert found.scaling(band) == pytest.approx((1e-4, offset / 10000))
    assert set(found.offsets) == (set(BAND_NAMES) if offset else set())
    assert found.wavelengths["B1"] == first
    assert len(found.granules) == 1
    assert any(image.endswith("_B02_10m") for image in found.images)
    assert any(image.endswith("_SCL_20m") for image in found.images)


@real
@pytest.mark.parametrize(
    ("name", "tile", "time", "crs", "sun_zenith", "sun_azimuth", "view_zenith", "view_azimuth", "masks"), GRANULES
)
def test_real_granules(
    name: str, tile: str, time: str, crs: str, sun_zenith: float, sun_azimuth: float, view_zenith: float,
    view_azimuth: float, masks: list[str],
) -> None:  # fmt: skip
    path = next((METADATA / f"{name}.SAFE").glob("GRANULE/*/MTD_TL.xml"))
    found = granule_metadata(path.read_bytes(), str(path))
    assert (found.tile, found.level, found.crs) == (tile, "L2A", crs)
    assert found.sensing_time == utc(time)
    assert found.angles is not None
    assert found.angles.sun_zenith == pytest.approx(sun_zenith)
    assert found.angles.sun_azimuth == pytest.approx(sun_azimuth)
    assert set(found.angles.view_zenith) == set(BAND_NAMES)
    assert found.angles.view_zenith["B1"] == pytest.approx(view_zenith)
    assert found.angles.view_azimuth["B1"] == pytest.approx(view_azimuth)
    assert [mask.kind for mask in found.masks] == masks


def l1c(baseline: str = "02.09", offsets: str = "") -> bytes:
    return L1C_PRODUCT.format(product="P", baseline=baseline, tile="T16PCC", images="", offsets=offsets).encode()


def test_offsets_are_told_by_band_number() -> None:
    text = '<RADIO_ADD_OFFSET band_id="0">-1000</RADIO_ADD_OFFSET><RADIO_ADD_OFFSET band_id="8">-900</RADIO_ADD_OFFSET>'
    found = product_metadata(l1c("04.00", text), "MTD_MSIL1C.xml")
    assert found.offsets == {"B1": -1000, "B8A": -900}
    assert found.scaling("B8A") == pytest.approx((1e-4, -0.09))
    assert found.scaling("B2") == pytest.approx((1e-4, 0.0))


def test_no_offset_is_made_up_for_a_late_baseline_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = product_metadata(l1c("05.10"), "MTD_MSIL1C.xml")
    assert found.scaling("B2") == (1e-4, 0.0)
    assert "lists no offset" in caplog.text


def test_names_of_old_sen2cor() -> None:
    text = """<n1:Level-2A_User_Product xmlns:n1="urn:x"><L2A_Product_Info>
      <PRODUCT_URI_1C>S2A_MSIL1C_A.SAFE</PRODUCT_URI_1C><PRODUCT_URI_2A>S2A_MSIL2A_A.SAFE</PRODUCT_URI_2A>
      <PROCESSING_BASELINE>02.06</PROCESSING_BASELINE><PRODUCT_START_TIME>2017-12-01T10:00:00.0Z</PRODUCT_START_TIME>
      <IMAGE_FILE_2A>GRANULE/G/IMG_DATA/R10m/L2A_T32TQM_20171201T100000_B02_10m</IMAGE_FILE_2A></L2A_Product_Info>
      <L1C_L2A_Quantification_Values_List><L1C_TOA_QUANTIFICATION_VALUE>10000</L1C_TOA_QUANTIFICATION_VALUE>
      <L2A_BOA_QUANTIFICATION_VALUE>1000</L2A_BOA_QUANTIFICATION_VALUE></L1C_L2A_Quantification_Values_List>
      </n1:Level-2A_User_Product>"""
    found = product_metadata(text.encode(), "old.xml")
    assert (found.product_id, found.quantification) == ("S2A_MSIL2A_A", 1000)
    assert found.images == ("GRANULE/G/IMG_DATA/R10m/L2A_T32TQM_20171201T100000_B02_10m",)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<a><b></a>", "no valid XML"),
        (b"", "no valid XML"),
        (b'<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>', "declares a document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>', "declares a document type"),
        (b"<Level-1B_User_Product/>", "its root is Level-1B_User_Product"),
        (l1c().replace(b"QUANTIFICATION_VALUE", b"SOMETHING"), "has no QUANTIFICATION_VALUE"),
        (l1c().replace(b">10000<", b">ten<"), "which is no number"),
        (l1c().replace(b">10000<", b">0<"), "which cannot be"),
        (l1c("04.00", '<RADIO_ADD_OFFSET band_id="13">0</RADIO_ADD_OFFSET>'), "names a band '13'"),
        (l1c().replace(b"2020-07-28T16:08:29.024Z", b"yesterday"), "time that is none"),
    ],
)
def test_what_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(RasterError, match=words):
        product_metadata(data, "MTD_MSIL1C.xml")


def test_entities_do_not_expand() -> None:
    levels = "".join(
        f'<!ENTITY e{n} "{"&e" + str(n - 1) + ";" if n else "x"}{"&e" + str(n - 1) + ";" if n else "x"}">'
        for n in range(40)
    )
    with pytest.raises(RasterError, match="document type"):
        parse_xml(f"<!DOCTYPE a [{levels}]><a>&e39;</a>".encode(), "bomb.xml")


def test_a_granule_without_angles_or_time_is_read() -> None:
    found = granule_metadata(
        b"<Level-1C_Tile_ID><TILE_ID>S2A_OPER_MSI_L1C_TL_X_T16PCC_N02.09</TILE_ID></Level-1C_Tile_ID>", "x"
    )
    assert (found.tile, found.processing_baseline, found.angles, found.sensing_time) == ("T16PCC", "02.09", None, None)


def test_a_product_file_is_no_granule() -> None:
    with pytest.raises(RasterError, match="no metadata of a Sentinel-2 granule"):
        granule_metadata(l1c(), "MTD_TL.xml")


def test_the_written_granule_has_angles_of_every_band() -> None:
    angles = "<ZENITH_ANGLE>3</ZENITH_ANGLE><AZIMUTH_ANGLE>4</AZIMUTH_ANGLE>"
    views = f'<Mean_Viewing_Incidence_Angle bandId="8">{angles}</Mean_Viewing_Incidence_Angle>'
    text = L1C_GRANULE.format(
        tile="T16PCC", baseline="02.09", grids="", views=views, mask="m", mask_kind="MSK_CLOUDS", sun_zenith=1,
        sun_azimuth=2, view_zenith=0, view_azimuth=0,
    )  # fmt: skip
    found = granule_metadata(text.encode(), "MTD_TL.xml")
    assert found.angles is not None
    assert (found.angles.sun_zenith, found.angles.sun_azimuth) == (1, 2)
    assert (found.angles.view_zenith, found.angles.view_azimuth) == ({"B8A": 3}, {"B8A": 4})


@pytest.mark.parametrize(
    "text",
    ["2020-07-28T16:08:29Z", "2020-07-28T16:08:29.0Z", "2020-07-28T18:08:29.000000+02:00", "2020-07-28T16:08:29"],
)
def test_times_are_utc(text: str) -> None:
    assert parse_time(text, "x") == datetime(2020, 7, 28, 16, 8, 29, tzinfo=timezone.utc)
