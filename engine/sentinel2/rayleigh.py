"""Rayleigh correction: from top-of-atmosphere reflectance (L1C) to what ACOLITE calls `rhorc`, MARIDA's level.

ACOLITE writes rhorc = (rho_t - rho_r) / (T_sun T_view): top-of-atmosphere reflectance less the reflectance of a
molecular atmosphere over a black surface, divided by the total (direct and diffuse) molecular transmittances of the two
paths. It corrects neither aerosol nor gas absorption there (acolite_ls2, acolite_ac.py, where `rhorc_` is written
before `apply gas correction`; acolite, acolite_l2r.py, `output_rhorc`). We do the same, since the model has learnt from
such numbers: the few per cent that ozone takes from B3 and B4 stay away. From April 2021 on ACOLITE counts the sky's
light that the sea's surface reflects to rho_r; before, when most of MARIDA was made, it did not: `sea_surface`.

ACOLITE takes rho_r and T from tables of 6SV. Ours come from the analytic expressions that 6S itself uses, with multiple
scattering and polarisation: E. F. Vermote and D. Tanré, Analytical expressions for radiative properties of planar
Rayleigh scattering media, including polarization contributions, J. Quant. Spectrosc. Radiat. Transfer 47 (1992)
305-314. Light that is scattered once makes up but three quarters of it in B1. Optical depths are those of B. A.
Bodhaine et al., On Rayleigh optical depth calculations, J. Atmos. Oceanic Technol. 16 (1999) 1854-1861, equation 30, at
each band's centre wavelength.

Angles are means over a granule, one a band, as in ACOLITE's fixed geometry. The correction is then linear in each band,
so `corrected_product` writes it into scale and offset, and nothing downstream has to know. Within the three granules
whose angle grids we have, rho_r differs from that of the mean angles by up to 0.006 in B1, 0.003 in B2 and 0.001 in B4.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from engine.errors import RasterError, RequestError
from engine.sentinel2.contents import BandSource, Product
from engine.sentinel2.metadata import Angles

__all__ = [
    "CENTRE_WAVELENGTHS",
    "PRESSURE",
    "RayleighTerms",
    "corrected_product",
    "fresnel_reflectance",
    "optical_depth",
    "path_reflectance",
    "phase_function",
    "rayleigh_terms",
    "sky_reflectance",
    "spherical_albedo",
    "transmittance",
]

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]

PRESSURE = 1013.25
"""Standard pressure at sea level, hPa."""
CENTRE_WAVELENGTHS = {
    "B1": 442.7, "B2": 492.4, "B3": 559.8, "B4": 664.6, "B5": 704.1, "B6": 740.5, "B7": 782.8, "B8": 832.8,
    "B8A": 864.7, "B9": 945.1, "B10": 1373.5, "B11": 1613.7, "B12": 2202.4,
}  # fmt: skip
"""Of Sentinel-2A, nm (ESA's spectral response functions, COPE-GSEG-EOPG-TN-15-0007). Those of B and C differ by some
nm, and their products' metadata say so."""
REFRACTIVE_INDEX = 1.34
"""Of sea water."""
# Light in the cirrus band never gets down to where most molecules are: water vapour absorbs it.
UNCORRECTED = ("B10",)
# Depolarisation of air, 0.0279, as in 6S; this is the factor that it gives the phase function's anisotropic part.
DEPOLARISATION = 2 * (1 - 0.0279) / (2 + 0.0279)
# The plane-parallel atmosphere of the expressions ends here.
HIGHEST_SUN_ZENITH = 76.0


@dataclass(frozen=True, eq=False)
class RayleighTerms:
    """What a molecular atmosphere adds to and takes from each band's reflectance, arrays of shape (bands,)."""

    path: Array
    """Reflectance of the atmosphere alone, rho_r."""
    transmittance: Array
    """Of both paths together, T_sun x T_view."""

    def correct(self, toa: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Rayleigh-corrected reflectance of top-of-atmosphere reflectance, both (bands, …)."""
        path, transmittance = self._shaped(toa.ndim)
        return ((toa - path) / transmittance).astype(np.float32)

    def simulate(self, corrected: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Top-of-atmosphere reflectance of Rayleigh-corrected reflectance, both (bands, …): undoes `correct`."""
        path, transmittance = self._shaped(corrected.ndim)
        return (corrected * transmittance + path).astype(np.float32)

    def _shaped(self, dimensions: int) -> tuple[Array, Array]:
        shape = (-1, *[1] * (dimensions - 1))
        return self.path.reshape(shape), self.transmittance.reshape(shape)


def optical_depth(wavelength_nm: npt.ArrayLike, pressure_hpa: float = PRESSURE) -> Array:
    """Rayleigh optical depth of the atmosphere, at 45 degrees latitude and 360 ppm CO2 (Bodhaine 1999, eq. 30)."""
    micrometres = np.asarray(wavelength_nm, dtype=np.float64) / 1000
    square, inverse = micrometres**2, micrometres**-2
    at_sea_level = (
        0.0021520
        * (1.0455996 - 341.29061 * inverse - 0.90230850 * square)
        / (1 + 0.0027059889 * inverse - 85.968563 * square)
    )
    return np.asarray(at_sea_level * pressure_hpa / PRESSURE)


def phase_function(cosine: npt.ArrayLike) -> Array:
    """Rayleigh phase function of the scattering angle's cosine, with depolarisation; its mean over the sphere is 1."""
    return np.asarray(1 + DEPOLARISATION * (3 * np.asarray(cosine, dtype=np.float64) ** 2 - 1) / 4)


def path_reflectance(
    depth: npt.ArrayLike, sun_zenith: npt.ArrayLike, view_zenith: npt.ArrayLike, relative_azimuth: npt.ArrayLike
) -> Array:
    """Reflectance of a molecular atmosphere over a black surface, with all orders of scattering and polarisation.

    Args:
        depth: Rayleigh optical depth, above 0.
        sun_zenith: degrees.
        view_zenith: degrees.
        relative_azimuth: degrees between the directions to sun and sensor, seen from the ground; 0 where both stand on
            the same side (backscattering).

    Returns:
        pi L / (mu_sun E), of the arguments' common shape. Vermote and Tanré 1992, within 1 % of exact values.
    """
    tau = np.asarray(depth, dtype=np.float64)
    sun, view = (np.cos(np.radians(np.asarray(angle, dtype=np.float64))) for angle in (sun_zenith, view_zenith))
    azimuth = np.radians(180.0 - np.asarray(relative_azimuth, dtype=np.float64))
    once = (1 - np.exp(-tau * (1 / sun + 1 / view))) / (4 * (sun + view))
    more = (1 - np.exp(-tau / sun)) * (1 - np.exp(-tau / view))
    # The Fourier terms of the phase function, for the cosines of 0, 1 and 2 times the azimuth.
    phase = (
        1 + DEPOLARISATION * (3 * sun**2 - 1) * (3 * view**2 - 1) / 8,
        -DEPOLARISATION * 0.75 * sun * view * np.sqrt((1 - sun**2) * (1 - view**2)),
        DEPOLARISATION * 0.1875 * (1 - sun**2) * (1 - view**2),
    )
    logarithm = np.log(tau)
    terms = (np.ones_like(sun), sun + view, sun * view, sun**2 + view**2, (sun * view) ** 2)
    fixed = (0.33243832, 0.16285370, -0.30924818, -0.10324388, 0.11493334)
    sloped = (-6.777104e-02, 1.577425e-03, -1.240906e-02, 3.241678e-02, -3.503695e-02)
    multiple = (
        sum((a + b * logarithm) * term for a, b, term in zip(fixed, sloped, terms, strict=True)),
        0.19666292 - 5.439061e-02 * logarithm,
        0.14545937 - 2.910845e-02 * logarithm,
    )
    harmonics = (1.0, 2 * np.cos(azimuth), 2 * np.cos(2 * azimuth))
    return np.asarray(sum(p * (once + more * m) * h for p, m, h in zip(phase, multiple, harmonics, strict=True)))


def transmittance(depth: npt.ArrayLike, zenith: npt.ArrayLike) -> Array:
    """Total transmittance, direct and diffuse, of a molecular atmosphere along a path (Vermote and Tanré 1992)."""
    tau, mu = np.asarray(depth, dtype=np.float64), np.cos(np.radians(np.asarray(zenith, dtype=np.float64)))
    return np.asarray(((2 / 3 + mu) + (2 / 3 - mu) * np.exp(-tau / mu)) / (4 / 3 + tau))


def spherical_albedo(depth: npt.ArrayLike) -> Array:
    """Share of diffuse light from below that a molecular atmosphere sends back: 1 less its transmittance to that light.

    The mean of `transmittance` over a diffuse sky, by Gauss-Legendre integration.
    """
    nodes, weights = np.polynomial.legendre.leggauss(32)
    mu, weight = (nodes + 1) / 2, weights / 2
    through = transmittance(np.asarray(depth, dtype=np.float64)[..., None], np.degrees(np.arccos(mu)))
    return np.asarray(1 - (2 * weight * mu * through).sum(axis=-1))


def fresnel_reflectance(zenith: npt.ArrayLike, index: float = REFRACTIVE_INDEX) -> Array:
    """Reflectance of a flat water surface to unpolarised light that comes in at a zenith angle in degrees."""
    # Below a hundredth of a degree both quotients are 0 / 0, and the result is that of a hundredth.
    outside = np.radians(np.maximum(np.asarray(zenith, dtype=np.float64), 0.01))
    inside = np.arcsin(np.sin(outside) / index)
    across = (np.sin(outside - inside) / np.sin(outside + inside)) ** 2
    along = (np.tan(outside - inside) / np.tan(outside + inside)) ** 2
    return np.asarray((across + along) / 2)


def sky_reflectance(
    depth: npt.ArrayLike, sun_zenith: npt.ArrayLike, view_zenith: npt.ArrayLike, relative_azimuth: npt.ArrayLike
) -> Array:
    """Molecular light that a flat sea surface reflects, to first order; arguments as in `path_reflectance`.

    Light that is scattered down and mirrored up, or mirrored before it is scattered: H. R. Gordon and M. Wang,
    Retrieval of water-leaving radiance and aerosol optical thickness over the oceans with SeaWiFS, Appl. Opt. 33 (1994)
    443-452.
    """
    tau = np.asarray(depth, dtype=np.float64)
    sun, view = (np.radians(np.asarray(angle, dtype=np.float64)) for angle in (sun_zenith, view_zenith))
    azimuth = np.radians(np.asarray(relative_azimuth, dtype=np.float64))
    forward = np.cos(sun) * np.cos(view) - np.sin(sun) * np.sin(view) * np.cos(azimuth)
    mirrored = fresnel_reflectance(sun_zenith) + fresnel_reflectance(view_zenith)
    return np.asarray(tau * mirrored * phase_function(forward) / (4 * np.cos(sun) * np.cos(view)))


def rayleigh_terms(
    bands: Sequence[str],
    angles: Angles,
    *,
    wavelengths: Mapping[str, float] | None = None,
    pressure_hpa: float = PRESSURE,
    sea_surface: bool = False,
) -> RayleighTerms:
    """The terms of each of `bands`, by name; B10 stays as it is.

    Args:
        bands: names.
        angles: mean angles of the granule. A band without a view angle takes the mean of the others.
        wavelengths: centre wavelengths in nm; Sentinel-2A's where a band is missing.
        pressure_hpa: at sea level.
        sea_surface: take off the sky's light that the sea's surface reflects too, as ACOLITE does from April 2021 on.

    Raises:
        RasterError: the angles are incomplete, or the sun is too low.
    """
    if not 0 <= angles.sun_zenith <= HIGHEST_SUN_ZENITH:
        raise RasterError(
            f"The sun stands at a zenith angle of {angles.sun_zenith:g} degrees: the Rayleigh correction holds up to "
            f"{HIGHEST_SUN_ZENITH:g}."
        )
    tau = optical_depth([(wavelengths or {}).get(band, CENTRE_WAVELENGTHS[band]) for band in bands], pressure_hpa)
    view, azimuth = (
        np.array([_of(band, values) for band in bands]) for values in (angles.view_zenith, angles.view_azimuth)
    )
    geometry = (np.full(len(bands), angles.sun_zenith), view, angles.sun_azimuth - azimuth)
    path = path_reflectance(tau, *geometry)
    if sea_surface:
        path = path + sky_reflectance(tau, *geometry)
    through = transmittance(tau, angles.sun_zenith) * transmittance(tau, view)
    kept = np.array([band in UNCORRECTED for band in bands])
    return RayleighTerms(np.where(kept, 0, path), np.where(kept, 1, through))


def _of(band: str, values: Mapping[str, float]) -> float:
    if not values:
        raise RasterError(
            "The metadata has no viewing angles, which the Rayleigh correction needs: choose the whole product."
        )
    return values[band] if band in values else float(np.mean(list(values.values())))


def corrected_product(product: Product, *, pressure_hpa: float = PRESSURE, sea_surface: bool = False) -> Product:
    """An L1C product as a Rayleigh-corrected one: the correction is folded into each band's scale and offset.

    Raises:
        RequestError: the product is not of level L1C.
        RasterError: scale, offset or angles are not known.
    """
    if product.level != "L1C":
        raise RequestError(f"{product.product_id} is of level {product.level}: only L1C can be Rayleigh-corrected.")
    if product.angles is None:
        raise RasterError(
            f"{product.product_id} has no angles, which the Rayleigh correction needs: choose the whole product."
        )
    names = tuple(product.bands)
    terms = rayleigh_terms(
        names, product.angles, wavelengths=product.wavelengths, pressure_hpa=pressure_hpa, sea_surface=sea_surface
    )
    bands = {
        name: _fold(product, name, float(path), float(through))
        for name, path, through in zip(names, terms.path, terms.transmittance, strict=True)
    }
    log.info("Rayleigh correction: %s.", ", ".join(f"{n} {p:.4f}" for n, p in zip(names, terms.path, strict=True)))
    return dataclasses.replace(product, level="Rayleigh-corrected", source_level="L1C", bands=MappingProxyType(bands))


def _fold(product: Product, name: str, path: float, through: float) -> BandSource:
    source = product.bands[name]
    if source.scale is None or source.offset is None:
        raise RasterError(
            f"{product.product_id} does not tell scale and offset of {name}, which the Rayleigh correction needs: "
            "choose the whole product."
        )
    return dataclasses.replace(source, scale=source.scale / through, offset=(source.offset - path) / through)
