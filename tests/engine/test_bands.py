"""Bands are told by name; what cannot be told is an error that says what was found."""

from __future__ import annotations

import logging

import pytest

from engine.bands import L1C_ORDER, L2A_ORDER, MARIDA_ORDER, BandLabel, band_from_label, match_bands, parse_mapping
from engine.errors import BandError


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("B8A", "B8A"),
        ("b08", "B8"),
        ("B8", "B8"),
        ("B01", "B1"),
        ("Band 8A", "B8A"),
        ("Band 11", "B11"),
        ("nm842", "B8"),
        ("rhorc_833", "B8"),
        ("rhorc_865", "B8A"),
        ("rhos_2202", "B12"),
        ("1614 nm", "B11"),
        ("B4, central wavelength 665 nm", "B4"),
        ("T36JUN_20190424T073619_B08_10m", "B8"),
        ("2018-10-31_Sentinel-2_L2A_B8A_(Raw)", "B8A"),
        ("nir08", "B8A"),
        ("swir16", "B11"),
        ("coastal", "B1"),
        ("elevation", None),
        ("842", None),
        ("B13", None),
        ("AB8", None),
        ("", None),
    ],
)
def test_band_from_label(text: str, band: str | None) -> None:
    assert band_from_label(BandLabel(text)) == band


@pytest.mark.parametrize(("nm", "band"), [(442.7, "B1"), (832.8, "B8"), (864.7, "B8A"), (1613.7, "B11"), (600, None)])
def test_wavelength_tag_decides_where_the_name_does_not(nm: float, band: str | None) -> None:
    assert band_from_label(BandLabel("reflectance", nm)) == band


def test_order_of_the_raster_does_not_matter() -> None:
    labels = [BandLabel(name) for name in reversed(MARIDA_ORDER)]
    assert match_bands(MARIDA_ORDER, labels) == tuple(range(11, 0, -1))


def test_surplus_bands_are_left_out() -> None:
    labels = [BandLabel(name) for name in ("SCL", *L1C_ORDER)]
    assert match_bands(("B1", "B8A", "B12"), labels) == (2, 10, 14)


@pytest.mark.parametrize(("order", "kind"), [(MARIDA_ORDER, "MARIDA"), (L2A_ORDER, "L2A"), (L1C_ORDER, "L1C")])
@pytest.mark.parametrize("label", ["", "Band {}"])
def test_unnamed_bands_are_taken_in_a_known_order_and_the_log_says_so(
    order: tuple[str, ...], kind: str, label: str, caplog: pytest.LogCaptureFixture
) -> None:
    labels = [BandLabel(label.format(number)) for number in range(1, len(order) + 1)]
    with caplog.at_level(logging.WARNING):
        assert match_bands(("B8A", "B12"), labels) == (order.index("B8A") + 1, order.index("B12") + 1)
    assert kind in caplog.text


def test_unnamed_ten_bands_are_refused_with_what_to_set() -> None:
    with pytest.raises(BandError, match=r"10 band.*unnamed.*BANDS"):
        match_bands(MARIDA_ORDER, [BandLabel("")] * 10)


def test_a_picture_is_refused() -> None:
    with pytest.raises(BandError, match=r"B1, B5.*3 band"):
        match_bands(MARIDA_ORDER, [BandLabel("red"), BandLabel("green"), BandLabel("blue")])


def test_a_band_claimed_twice_is_ambiguous() -> None:
    with pytest.raises(BandError, match=r"Band 1 \(B8\) and band 2 \(nm842\) both look like B8"):
        match_bands(("B8",), [BandLabel("B8"), BandLabel("nm842")])


def test_explicit_mapping_wins_over_names() -> None:
    labels = [BandLabel("B4"), BandLabel("B8")]
    assert match_bands(("B4",), labels, parse_mapping("B4=2")) == (2,)


def test_explicit_mapping_beyond_the_raster_is_refused() -> None:
    with pytest.raises(BandError, match=r"B4=3.*2 band"):
        match_bands(("B4",), [BandLabel("")] * 2, {"B4": 3})


@pytest.mark.parametrize("text", ["B4", "B4=x", "B4=0", "X=1", "B4=1,B4=2", " , "])
def test_bad_mapping_is_refused(text: str) -> None:
    with pytest.raises(BandError):
        parse_mapping(text)


def test_mapping_is_read() -> None:
    assert parse_mapping("B1=1, B08=2; B8A=9") == {"B1": 1, "B8": 2, "B8A": 9}
