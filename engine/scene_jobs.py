"""Requests and results of the jobs on scenes: detect and prepare."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import RequestError
from engine.fields import DEVICES, PRECISIONS, choice, option, within

__all__ = ["DetectRequest", "DetectResult", "PrepareRequest", "PrepareResult", "SceneRequest", "SceneResult"]

LEVELS = ("auto", "L1C", "L2A", "Rayleigh-corrected")
MASKS = ("auto", "image", "none")


@dataclass(frozen=True, kw_only=True)
class SceneRequest:
    """A scene, and where in it to look: what the jobs on scenes have in common."""

    input: str | None = option(None, text="raster with the Sentinel-2 bands: anything GDAL opens; or see product")
    product: tuple[str, ...] = option(
        (), text="Sentinel-2 product: SAFE folder, zip or MTD file, ACOLITE L2R, a folder or list of single-band files"
    )
    level: str = option("auto", text="auto, L1C, L2A or Rayleigh-corrected; L1C is Rayleigh-corrected first")
    bands: str | None = option(None, text="band numbers, as B1=1,B2=2,…; else bands are found by name")
    scale: float | None = option(None, text="reflectance = stored number x scale + offset; else from the file")
    offset: float | None = option(None, text="see scale; in reflectance, so -0.1 for baselines 04.00 and later")
    crs: str | None = option(
        None, text="the raster's CRS (EPSG:32630, WKT) where the file has none, or another one is meant"
    )
    extent: tuple[float, float, float, float] | None = option(
        None, text="west,south,east,north in the raster's CRS: look only there"
    )
    extent_crs: str | None = option(None, text="the extent's CRS (EPSG:4326, WKT) where it is another")
    masks: str = option(
        "auto", text="land and cloud from: auto the product's own masks, else the image; image; none: look everywhere"
    )
    water: str | None = option(None, text="polygons, or raster other than 0, that say where water is: the rest is land")
    water_crs: str | None = option(
        None, text="water's CRS (EPSG:32630, WKT) where its file has none, or another one is meant"
    )
    area: str | None = option(None, text="polygons, or raster other than 0, that say where to look")
    area_crs: str | None = option(None, text="the same for area")
    shore: int = option(2, text="pixels of water along land that are not looked at")
    cloud_collar: int = option(5, text="pixels around cloud and its shadow that are not looked at")
    plugin_version: str | None = option(None, text="version of the program that asks, for the results' tags")
    job_id: str | None = option(None, text="names the folders of unfinished output: .debris-<job_id>")

    def __post_init__(self) -> None:
        if bool(self.input) == bool(self.product):
            raise RequestError("Name one of input (a raster) and product (a Sentinel-2 product).")
        if self.product and self.crs:
            raise RequestError("A product tells its own CRS: leave crs empty.")
        for name, layer, crs in (("water", self.water, self.water_crs), ("area", self.area, self.area_crs)):
            if crs and not layer:
                raise RequestError(f"{name}_crs is the CRS of {name}: name {name} too, or leave it empty.")
        choice("level", self.level, LEVELS)
        choice("masks", self.masks, MASKS)
        within("shore", self.shore, 0, 100)
        within("cloud_collar", self.cloud_collar, 0, 100)
        if self.scale is not None and not self.scale > 0:
            raise RequestError(f"scale is {self.scale:g}: it must be above 0.")


@dataclass(frozen=True, kw_only=True)
class SceneResult:
    """What is known of a scene, and how much of it was not looked at. Areas are None where it has no CRS."""

    scene: str
    level: str | None
    level_validated: bool
    level_note: str
    product_id: str | None
    processing_baseline: str | None
    sensing_time: str | None
    land_area_m2: float | None
    cloud_area_m2: float | None
    no_data_area_m2: float | None
    glint_b11: float | None
    """Median reflectance of the scene's water in B11; None where there is no water or no B11."""
    glinting: bool


@dataclass(frozen=True, kw_only=True)
class DetectRequest(SceneRequest):
    """Find floating debris in one raster or product."""

    mask: str = option(text="GeoTIFF to write: 0 clear, 1 debris, 2 other floating matter, 3-4 and 255 not observed")
    probability: str | None = option(
        None,
        text="Cloud Optimized GeoTIFF to write: probability of debris (band 2: of any floating matter), NaN no data",
    )
    detections: str | None = option(None, text="vector file to write: one polygon a detection")
    model: str | None = option(None, text="model file; the bundled model where none is named")
    threshold: float | None = option(
        None, text="probability that a group of pixels must reach to be debris, 0 to 1; else the model's own"
    )
    extent_threshold: float | None = option(
        None,
        text="probability from which pixels belong to such a group; else the model's threshold, or a lower one",
    )
    shift_to_water: bool = option(
        False, text="move each band so that the scene's water has its usual level, for L2A whose correction errs"
    )
    min_pixels: int = option(1, text="leave out detections of fewer pixels")
    tile_overlap: int | None = option(None, text="pixels that neighbouring tiles share; else by the receptive field")
    device: str = option("auto", text="auto, cpu, cuda or mps")
    precision: str = option("auto", text="auto (mixed where the device is fast at it), mixed or float32")

    def __post_init__(self) -> None:
        super().__post_init__()
        within("threshold", self.threshold, 0.0, 1.0)
        within("extent_threshold", self.extent_threshold, 0.0, 1.0)
        choice("device", self.device, DEVICES)
        choice("precision", self.precision, PRECISIONS)
        if self.min_pixels < 1:
            raise RequestError(f"min_pixels is {self.min_pixels}: it must be 1 or more.")
        if self.tile_overlap is not None and self.tile_overlap < 0:
            raise RequestError(f"tile_overlap is {self.tile_overlap}: it must be 0 or more.")


@dataclass(frozen=True, kw_only=True)
class DetectResult(SceneResult):
    """What was found, and how much was looked at. Areas are None where the raster has no CRS."""

    mask: str
    probability: str | None
    detections: str | None
    detection_count: int
    debris_pixels: int
    floating_pixels: int
    observed_pixels: int
    not_observed_pixels: int
    debris_area_m2: float | None
    observed_area_m2: float | None
    not_observed_area_m2: float | None
    threshold: float
    extent_threshold: float
    model_name: str
    model_sha256: str
    has_floating_class: bool


@dataclass(frozen=True, kw_only=True)
class PrepareRequest(SceneRequest):
    """Write a scene as one raster of eleven bands, and where not to look."""

    output: str = option(text="Cloud Optimized GeoTIFF to write: 11 bands of reflectance on the 10 m grid")
    quality: str = option(text="GeoTIFF to write: 0 look here, 3 land, 4 cloud or shadow, 255 no data")


@dataclass(frozen=True, kw_only=True)
class PrepareResult(SceneResult):
    """What was written."""

    output: str
    quality: str
    water_area_m2: float | None
