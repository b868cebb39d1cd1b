"""The Rayleigh correction: its physics, its way back, and real water."""

from __future__ import annotations

import csv
import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import rasterio
from safe_builder import ANGLES, write_l1c

from engine.bands import BAND_NAMES, MARIDA_ORDER
from engine.errors import RasterError, RequestError
from engine.raster import open_scene
from engine.sentinel2.metadata import Angles, product_metadata
from engine.sentinel2.product import Product, open_product
from engine.sentinel2.rayleigh import (
    CENTRE_WAVELENGTHS,
    PRESSURE,
    corrected_product,
    fresnel_reflectance,
    optical_depth,
    path_reflectance,
    phase_function,
    rayleigh_terms,
    sky_reflectance,
    spherical_albedo,
    transmittance,
)
from engine.tiling import Window

SHARED = Path(__file__).parents[3] / "shared" / "data"
SIGNATURES = SHARED / "spectra" / "scene_signatures.csv"
real = pytest.mark.skipif(not SIGNATURES.is_file(), reason="the measured signatures are not on this machine")


def combinations(*values: tuple[float, ...]) -> list[tuple[float, ...]]:
    return list(itertools.product(*values))


def angles(sun: float, view: float, azimuth: float = 60.0) -> Angles:
    return Angles(sun, 120.0, dict.fromkeys(BAND_NAMES, view), dict.fromkeys(BAND_NAMES, 120.0 - azimuth))


@pytest.mark.parametrize("wavelength", list(CENTRE_WAVELENGTHS.values()))
def test_optical_depth(wavelength: float) -> None:
    """About that of the older formula of Hansen and Travis (Space Sci. Rev. 16, 1974, 527-610), which ACOLITE has."""
    inverse = (wavelength / 1000) ** -2
    older = 0.008569 * inverse**2 * (1 + 0.0113 * inverse + 0.00013 * inverse**2)
    assert optical_depth(wavelength) == pytest.approx(older, rel=0.01, abs=3e-5)


def test_optical_depth_follows_pressure() -> None:
    assert optical_depth(443, 900.0) == pytest.approx(optical_depth(443) * 900 / PRESSURE)


def test_the_phase_function_has_mean_one() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(16)
    assert (weights * phase_function(nodes)).sum() / 2 == pytest.approx(1)


def all_reflected(depth: float, sun: float) -> float:
    """Share of the sun's light that the atmosphere sends up in all directions."""
    nodes, weights = np.polynomial.legendre.leggauss(32)
    mu = (nodes + 1) / 2
    azimuth = np.arange(0, 360, 5.0)
    upward = path_reflectance(depth, sun, np.degrees(np.arccos(mu))[:, None], azimuth[None]).mean(axis=1)
    return float((weights * mu * upward).sum())


@pytest.mark.parametrize(("depth", "sun"), combinations((0.01, 0.05, 0.15, 0.2366), (0.0, 20.0, 40.0, 60.0)))
def test_no_light_is_lost(depth: float, sun: float) -> None:
    """Molecules absorb nothing: what goes up and what comes down add up, though they come from different formulas."""
    assert all_reflected(depth, sun) + float(transmittance(depth, sun)) == pytest.approx(1, abs=0.002)


def test_sun_and_sensor_may_change_places() -> None:
    assert path_reflectance(0.2, 20, 50, 70) == pytest.approx(path_reflectance(0.2, 50, 20, 70))


@pytest.mark.parametrize(("sun", "view", "azimuth"), combinations((20.0, 60.0), (0.0, 50.0), (0.0, 90.0, 180.0)))
def test_a_thin_atmosphere_scatters_once(sun: float, view: float, azimuth: float) -> None:
    a, b = np.radians([sun, view])
    cosine = -np.cos(a) * np.cos(b) - np.sin(a) * np.sin(b) * np.cos(np.radians(azimuth))
    once = 1e-3 * phase_function(cosine) / (4 * np.cos(a) * np.cos(b))
    assert path_reflectance(1e-3, sun, view, azimuth) == pytest.approx(once, rel=0.01)


def test_backscattering_is_where_sun_and_sensor_stand_on_the_same_side() -> None:
    same, across, opposite = (float(path_reflectance(0.05, 45, 45, azimuth)) for azimuth in (0, 90, 180))
    # The scattering angles are 180, 120 and 90 degrees.
    assert same > across > opposite
    assert same / opposite == pytest.approx(2, abs=0.2)


def test_size_and_order_of_the_bands() -> None:
    terms = rayleigh_terms(BAND_NAMES, angles(35, 5))
    path = dict(zip(BAND_NAMES, terms.path, strict=True))
    assert 0.085 < path["B1"] < 0.105
    assert 0.055 < path["B2"] < 0.07
    assert 0.03 < path["B3"] < 0.04
    assert 0.015 < path["B4"] < 0.02
    assert path["B11"] < 0.001
    rest = [value for band, value in path.items() if band != "B10"]
    assert rest == sorted(rest, reverse=True)
    assert terms.transmittance.min() > 0.7
    assert terms.transmittance.max() <= 1


def test_light_is_weakened_on_both_ways() -> None:
    terms = rayleigh_terms(("B1",), angles(60, 10))
    both = transmittance(optical_depth(CENTRE_WAVELENGTHS["B1"]), np.array([60.0, 10.0]))
    assert terms.transmittance[0] == pytest.approx(both.prod())
    # Down at 60 degrees some 81 %, up near the zenith some 89 %.
    assert terms.transmittance[0] == pytest.approx(0.81 * 0.89, abs=0.01)


def test_the_cirrus_band_stays_as_it_is() -> None:
    terms = rayleigh_terms(("B10", "B11"), angles(35, 5))
    assert (terms.path[0], terms.transmittance[0]) == (0, 1)
    assert terms.path[1] > 0


@pytest.mark.parametrize("zenith", [0.0, 30.0, 60.0])
def test_fresnel(zenith: float) -> None:
    outside = np.radians(zenith)
    inside = np.arcsin(np.sin(outside) / 1.34)
    # The field amplitudes, in the other common writing of the formula.
    across = (np.cos(outside) - 1.34 * np.cos(inside)) / (np.cos(outside) + 1.34 * np.cos(inside))
    along = (1.34 * np.cos(outside) - np.cos(inside)) / (1.34 * np.cos(outside) + np.cos(inside))
    assert fresnel_reflectance(zenith) == pytest.approx((across**2 + along**2) / 2, rel=1e-6)


def test_the_skys_mirror_image_is_a_small_part() -> None:
    plain, mirrored = (rayleigh_terms(MARIDA_ORDER, angles(35, 5), sea_surface=on) for on in (False, True))
    share = (mirrored.path - plain.path) / plain.path
    assert (share > 0.03).all()
    assert (share < 0.06).all()
    assert sky_reflectance(0.2366, 35, 5, 60) == pytest.approx(0.004, abs=0.001)


@pytest.mark.parametrize(
    ("sun", "view", "azimuth"), combinations((20.0, 40.0, 60.0), (20.0, 40.0, 60.0), (0.0, 90.0, 170.0))
)
def test_there_and_back(sun: float, view: float, azimuth: float) -> None:
    """Through top-of-atmosphere DN, as a product stores them, the correction comes back within 0.003."""
    rng = np.random.default_rng(1)
    truth = rng.uniform(-0.005, 0.5, (11, 40, 40)).astype(np.float32)
    terms = rayleigh_terms(MARIDA_ORDER, angles(sun, view, azimuth))
    stored = np.round(terms.simulate(truth) * 10000 + 1000).astype(np.uint16)
    back = terms.correct((stored.astype(np.float32) - 1000) / 10000)
    np.testing.assert_allclose(back, truth, atol=3e-4)


@pytest.mark.parametrize(("sun", "view"), combinations((20.0, 40.0, 60.0), (20.0, 60.0)))
def test_over_a_surface_that_is_no_mirror_of_the_formula(sun: float, view: float) -> None:
    """A surface of known reflectance under the whole atmosphere, light going to and fro, comes back within 0.003.

    The surface's light goes up and partly comes down again, which rhorc by its definition does not take off: for
    water and what floats on it, up to a reflectance of 0.1, that has to stay below the tolerance.
    """
    terms = rayleigh_terms(MARIDA_ORDER, angles(sun, view))
    back_again = spherical_albedo(optical_depth([CENTRE_WAVELENGTHS[band] for band in MARIDA_ORDER]))
    for surface in (0.0, 0.02, 0.05, 0.1):
        toa = terms.path + terms.transmittance * surface / (1 - back_again * surface)
        assert np.abs(terms.correct(toa) - surface).max() < 0.003


def signatures(kind: str) -> np.ndarray:
    """Mean reflectance of a class, a row a scene."""
    with SIGNATURES.open() as file:
        rows = [row for row in csv.DictReader(file) if row["class"] == kind]
    return np.array([[float(row[f"{band}_mean"]) for band in MARIDA_ORDER] for row in rows])


@real
@pytest.mark.parametrize("sun", [20.0, 40.0, 60.0])
def test_real_water_stays_within_the_spread_of_the_signatures(sun: float) -> None:
    """Water seen from space, corrected with angles, pressure and wavelengths that are somewhat wrong, is still water.

    The errors are those that a user has: the granule's mean view angle for a pixel 4 degrees off, another weather's
    pressure, and Sentinel-2B's wavelengths for 2A's.
    """
    water = signatures("Marine Water")
    low, high = water.min(axis=0), water.max(axis=0)
    typical = np.median(water, axis=0)
    other = {band: nm - 2.0 for band, nm in CENTRE_WAVELENGTHS.items()}
    for view, pressure, wavelengths in (
        (3.0, PRESSURE, None),
        (11.0, PRESSURE, None),
        (7.0, 995.0, None),
        (7.0, 1030.0, other),
    ):
        seen = rayleigh_terms(MARIDA_ORDER, angles(sun, view), wavelengths=wavelengths, pressure_hpa=pressure).simulate(
            typical
        )
        assert seen[0] > 0.1
        corrected = rayleigh_terms(MARIDA_ORDER, angles(sun, 7.0)).correct(seen)
        assert ((corrected > low) & (corrected < high)).all()


@real
def test_uncorrected_water_does_not() -> None:
    """The check above can fail: left as it is, the water is none in B1 and B2."""
    water = signatures("Marine Water")
    seen = rayleigh_terms(MARIDA_ORDER, angles(40, 7)).simulate(np.median(water, axis=0))
    assert (seen[:2] > water.max(axis=0)[:2]).all()


def test_band_centres_stand_for_whole_bands() -> None:
    """The mean optical depth over a band's response, from real metadata, differs from its centre's by under 0.003."""
    metadata = SHARED / "sentinel2_metadata"
    if not metadata.is_dir():
        pytest.skip("real Sentinel-2 metadata is not on this machine")
    path = next(metadata.glob("*N0509*.SAFE")) / "MTD_MSIL2A.xml"
    from engine.sentinel2.metadata import parse_xml

    centres = product_metadata(path.read_bytes(), "x").wavelengths
    found = 0
    for element in parse_xml(path.read_bytes(), "x").iter("Spectral_Information"):
        band = BAND_NAMES[int(element.get("bandId", ""))]
        response = np.array((element.findtext("Spectral_Response/VALUES") or "").split(), dtype=float)
        step = float(element.findtext("Spectral_Response/STEP") or 1)
        waves = float(element.findtext("Wavelength/MIN") or 0) + step * np.arange(response.size)
        mean = (optical_depth(waves) * response).sum() / response.sum()
        assert abs(mean - optical_depth(centres[band])) < 0.003
        found += 1
    assert found == 13


def read(product: Product) -> np.ndarray:
    with open_scene(product.as_vrt(MARIDA_ORDER), MARIDA_ORDER) as scene:
        return scene.read(Window(0, 0, 60, 60))[0]


@pytest.mark.parametrize("baseline", ["02.09", "05.10"])
def test_a_product_comes_back_corrected(tmp_path: Path, baseline: str) -> None:
    rng = np.random.default_rng(2)
    truth = rng.uniform(0.0, 0.3, (11, 10, 10)).repeat(6, 1).repeat(6, 2).astype(np.float32)
    given = Angles(
        ANGLES["sun_zenith"], ANGLES["sun_azimuth"], dict.fromkeys(BAND_NAMES, ANGLES["view_zenith"]),
        dict.fromkeys(BAND_NAMES, ANGLES["view_azimuth"]),
    )  # fmt: skip
    toa = rayleigh_terms(MARIDA_ORDER, given).simulate(truth)
    product = open_product(write_l1c(tmp_path, toa, baseline=baseline))
    np.testing.assert_allclose(read(product), toa, atol=6e-5)
    corrected = corrected_product(product)
    assert corrected.level == "Rayleigh-corrected"
    np.testing.assert_allclose(read(corrected), truth, atol=3e-4)
    with rasterio.open(corrected.as_vrt()) as dataset:
        assert dataset.tags()["level"] == "Rayleigh-corrected"
        assert dataset.tags()["source_level"] == "L1C"
        assert dataset.offsets[10] == product.bands["B10"].offset
    with pytest.raises(RequestError, match="only L1C can be Rayleigh-corrected"):
        corrected_product(corrected)


def test_what_cannot_be_corrected(tmp_path: Path) -> None:
    product = open_product(write_l1c(tmp_path, np.full((11, 60, 60), 0.1, dtype=np.float32)))
    assert product.angles is not None
    with pytest.raises(RasterError, match="has no angles"):
        corrected_product(dataclasses.replace(product, angles=None))
    with pytest.raises(RasterError, match="no viewing angles"):
        corrected_product(dataclasses.replace(product, angles=dataclasses.replace(product.angles, view_zenith={})))
    with pytest.raises(RasterError, match="zenith angle of 80 degrees"):
        corrected_product(dataclasses.replace(product, angles=angles(80, 5)))
    unknown = dataclasses.replace(product.bands["B2"], scale=None, offset=None)
    with pytest.raises(RasterError, match="scale and offset of B2"):
        corrected_product(dataclasses.replace(product, bands={**product.bands, "B2": unknown}))
    with pytest.raises(RequestError, match="is of level L2A"):
        corrected_product(dataclasses.replace(product, level="L2A"))
