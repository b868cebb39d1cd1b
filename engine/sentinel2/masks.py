"""Where not to look, and why: land, cloud, cloud shadow, cirrus, snow, and no data.

Land and cloud come from the product's own classification where there is one, else from reflectance. Floating matter
must not be taken for land or cloud, so both have to be wide: what is narrower is left to the detector. Everything here
depends on a neighbourhood of `MaskOptions.halo` pixels alone, so a scene may be masked window by window: read `halo`
pixels more on each side, and cut them off the result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from engine.errors import BandError, RequestError

__all__ = [
    "CLOUD",
    "GLINT_B11",
    "LAND",
    "LOOK",
    "NO_DATA",
    "GlintMeter",
    "MaskOptions",
    "classes_to_flags",
    "grey_like",
    "land_like",
    "reason_mask",
    "reasons_from_flags",
    "widened",
]

LOOK, LAND, CLOUD, NO_DATA = 0, 3, 4, 255
"""Values of the mask: look here; not observed for land, for cloud (or its shadow, cirrus, snow), for want of data."""

GLINT_B11 = 0.01
"""Median reflectance of water in B11 from which a scene counts as glinting: water itself reflects nothing there."""

# Sen2Cor's scene classification (Sentinel-2 L2A Algorithm Theoretical Basis Document, S2-PDGS-MPC-ATBD-L2A, table 3).
SCL_NO_DATA = (0, 1)
SCL_LAND = (4, 5)
SCL_CLOUD = (3, 8, 9, 10, 11)

# Reflectance of B10 from which there is cirrus: ACOLITE's default (l2w_mask_cirrus_threshold).
CIRRUS_B10 = 0.005
# The lowest B11 that can be land: the darkest vegetation and wet sand have some 0.04, water with strong glint less.
LAND_B11 = 0.03
# A cloud is bright in B2 and, other than foam and floating matter, in B11 too. The limits lie above the class means of
# every water of MARIDA's train and val scenes (scene_signatures.csv), in hazy and glinting ones too.
CLOUD_B2, CLOUD_B11 = 0.07, 0.055
# In a clear scene thinner cloud shows: this much brighter than the scene's water, but never below a lowest level.
ABOVE_WATER_B2, ABOVE_WATER_B11 = 0.02, 0.025
LOWEST_B2, LOWEST_B11 = 0.05, 0.03
# Clouds are grey. Bare soil and sand are redder (B4 over B2) and brighter in B11, vegetation in B8.
CLOUD_RED, CLOUD_NIR, CLOUD_SWIR = 1.25, 1.3, 1.35

# How far from grey cloud brightness of any colour counts as cloud: thick cloud is not grey where parts of it are in
# shadow, and at its moving edges, where bands do not meet. Pixels.
CLOUD_REACH = 12

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MaskOptions:
    """How masks are drawn; lengths in pixels."""

    shore_pixels: int = 2
    """Water this near to land is not looked at."""
    cloud_collar: int = 5
    """Water this near to cloud or cloud shadow is not looked at."""
    core_width: int = 9
    """Land at least this wide somewhere is land; narrower, it may float. Sand bars and piers attached to land count as
    land up to twice this length."""
    cloud_core_width: int = 5
    """Cloud narrower than this everywhere is none: foam, ships, bright floating matter."""
    cloud_b2: float = CLOUD_B2
    """Reflectance in B2 above which it may be cloud."""
    cloud_b11: float = CLOUD_B11
    """The same in B11; see `for_scene`."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("shore_pixels", 0, 100), ("cloud_collar", 0, 100), ("core_width", 1, 99), ("cloud_core_width", 1, 99),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise RequestError(f"{name} is {getattr(self, name)}: it must lie between {low} and {high}.")

    def for_scene(
        self, blue: npt.NDArray[np.float32], green: npt.NDArray[np.float32], swir: npt.NDArray[np.float32]
    ) -> MaskOptions:
        """These options with cloud levels set by a scene's own water: in clear scenes thinner cloud is found.

        Args:
            blue: B2 of observed pixels from all over the scene, of any shape; and so B3 and B11.
            green: see blue.
            swir: see blue.
        """
        water = ~land_like(green, swir) & (swir < self.cloud_b11)
        if not water.any():
            return self
        levels = float(np.median(blue[water])) + ABOVE_WATER_B2, float(np.median(swir[water])) + ABOVE_WATER_B11
        return dataclasses.replace(
            self,
            cloud_b2=float(np.clip(levels[0], LOWEST_B2, self.cloud_b2)),
            cloud_b11=float(np.clip(levels[1], LOWEST_B11, self.cloud_b11)),
        )

    @property
    def halo(self) -> int:
        """Pixels around a window that decide on the pixels in it."""
        land = 2 * (self.core_width // 2) + self.reach + self.shore_pixels
        cloud = 2 * (self.cloud_core_width // 2) + CLOUD_REACH + self.cloud_collar
        return max(land, cloud) + 2

    @property
    def reach(self) -> int:
        """How far from a wide place land goes on."""
        return 2 * self.core_width


def reason_mask(
    reflectance: npt.NDArray[np.float32],
    bands: Sequence[str],
    observed: Flags,
    *,
    classes: npt.NDArray[np.uint8] | None = None,
    cloud: Flags | None = None,
    options: MaskOptions | None = None,
) -> npt.NDArray[np.uint8]:
    """The mask of a window: LOOK, LAND, CLOUD or NO_DATA, uint8 (height, width).

    Args:
        reflectance: Rayleigh-corrected or surface reflectance, (bands, height, width). Top-of-atmosphere reflectance
            has to be corrected first: its blue haze hides the shore.
        bands: names; B2, B3, B4, B8 and B11 are needed where there is no scene classification, B10 helps.
        observed: where there is data, (height, width).
        classes: the product's scene classification (SCL), (height, width); it then decides on land and cloud.
        cloud: the product's own cloud mask, of clouds, cirrus or snow, (height, width); added to what the rest says.
        options: see there.

    Raises:
        BandError: a band is missing that is needed.
    """
    if classes is not None:
        land, cloudy, empty = classes_to_flags(classes)
        return reasons_from_flags(land, _joined(cloudy, cloud), observed & ~empty, options)
    needed = ("B2", "B3", "B4", "B8", "B11")
    missing = [name for name in needed if name not in bands]
    if missing:
        raise BandError(f"To tell land and cloud, {', '.join(missing)} is needed too; there is {', '.join(bands)}.")
    chosen = options or MaskOptions()
    blue, green, red, nir, swir = (reflectance[bands.index(name)] for name in needed)
    bright = (blue > chosen.cloud_b2) & (swir > chosen.cloud_b11)
    cloudy = bright & grey_like(blue, green, red, nir, swir)
    if "B10" in bands:
        cloudy |= reflectance[bands.index("B10")] > CIRRUS_B10
    return reasons_from_flags(land_like(green, swir) & ~cloudy, _joined(cloudy, cloud), observed, chosen, bright)


def land_like(green: npt.NDArray[np.float32], swir: npt.NDArray[np.float32]) -> Flags:
    """Where reflectance in B11 is above that in B3, as everywhere on land but hardly on water.

    That is a modified normalised difference water index (B3 - B11) / (B3 + B11) below 0 (Xu 2006, Int. J. Remote Sens.
    27, 3025-3033), written without a quotient, which noise around 0 would make worthless, and with a lowest B11.
    """
    return (swir > green) & (swir > LAND_B11)


def grey_like(
    blue: npt.NDArray[np.float32],
    green: npt.NDArray[np.float32],
    red: npt.NDArray[np.float32],
    nir: npt.NDArray[np.float32],
    swir: npt.NDArray[np.float32],
) -> Flags:
    """Where reflectance is about the same from B2 over B4 and B8 to B11, as in clouds."""
    return (red < CLOUD_RED * blue) & (nir < CLOUD_NIR * blue) & (swir < CLOUD_SWIR * green)


def classes_to_flags(classes: npt.NDArray[np.uint8]) -> tuple[Flags, Flags, Flags]:
    """Land, cloud (with shadow, cirrus, snow), and no data, of a scene classification.

    Dark areas (2) and unclassified pixels (7) are neither: water and floating matter are put there too.
    """
    return tuple(np.isin(classes, values) for values in (SCL_LAND, SCL_CLOUD, SCL_NO_DATA))  # type: ignore[return-value]


def reasons_from_flags(
    land: Flags, cloud: Flags, observed: Flags, options: MaskOptions | None = None, bright: Flags | None = None
) -> npt.NDArray[np.uint8]:
    """The mask of raw flags (height, width): narrow land and cloud taken out, shore and collar added.

    No data goes before cloud, cloud before land; shore and collar go last. Cloud goes on through `bright` pixels that
    touch it, up to CLOUD_REACH.
    """
    chosen = options or MaskOptions()
    # Where there is no data, land and cloud may go on: a strip of beach at the edge of what was cut is no driftwood.
    hidden = ~observed
    solid = _grown_back(_opened(land | hidden, chosen.core_width), land | hidden, chosen.reach) & land & observed
    covered = _opened(cloud | hidden, chosen.cloud_core_width) & cloud & observed
    if bright is not None:
        covered = _grown_back(covered, (covered | bright) & observed, CLOUD_REACH)
    mask = np.full(land.shape, LOOK, dtype=np.uint8)
    mask[widened(solid, chosen.shore_pixels)] = LAND
    mask[widened(covered, chosen.cloud_collar) & ~solid] = CLOUD
    mask[covered] = CLOUD
    mask[~observed] = NO_DATA
    return mask


class GlintMeter:
    """The median of B11 over the water of a scene, gathered window by window in constant memory, to 0.0001."""

    _LOW, _STEP, _BINS = -0.05, 1e-4, 4000

    def __init__(self) -> None:
        self._counts = np.zeros(self._BINS, dtype=np.int64)

    def add(self, swir: npt.NDArray[np.float32], mask: npt.NDArray[np.uint8]) -> None:
        """Add a window: B11 and the mask, both (height, width)."""
        water = swir[(mask == LOOK) & np.isfinite(swir)]
        bins = np.clip(np.floor((water - self._LOW) / self._STEP), 0, self._BINS - 1).astype(np.int64)
        self._counts += np.bincount(bins, minlength=self._BINS)

    @property
    def median(self) -> float | None:
        """The median, None where there was no water."""
        total = int(self._counts.sum())
        if not total:
            return None
        bin_number = int(np.searchsorted(np.cumsum(self._counts), (total + 1) // 2))
        return self._LOW + (bin_number + 0.5) * self._STEP

    @property
    def glinting(self) -> bool:
        """Whether the scene's water shines: see GLINT_B11."""
        return (self.median or 0.0) > GLINT_B11


def _joined(first: Flags, second: Flags | None) -> Flags:
    return first if second is None else first | second


def _opened(flags: Flags, width: int) -> Flags:
    """What remains of `flags` where a disk of this width (odd, in pixels) fits in.

    Beyond the window's edge nothing ends: a halo is read around, and the scene's own edge cuts no land off.
    """
    radius = width // 2
    if radius == 0 or not flags.any():
        return flags
    if flags.all():
        return flags
    core = ndimage.distance_transform_edt(flags) > radius
    return widened(core, radius) & flags


def widened(flags: Flags, radius: int) -> Flags:
    """`flags` and all pixels within `radius` of them."""
    if radius == 0 or not flags.any():
        return flags
    return np.asarray(ndimage.distance_transform_edt(~flags) <= radius)


def _grown_back(core: Flags, flags: Flags, reach: int) -> Flags:
    """`core` and what of `flags` is connected to it within `reach` steps."""
    if not core.any():
        return core
    square = np.ones((3, 3), dtype=bool)
    return np.asarray(ndimage.binary_dilation(core, structure=square, iterations=reach, mask=flags))
