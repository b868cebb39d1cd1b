"""A run's results for the tests of what is done with results: rasters and a table as the engine writes them."""

from __future__ import annotations

import numpy as np
from osgeo import gdal, ogr, osr

TAGS = {
    "SOFTWARE": "Marine Debris for QGIS",
    "SCENE": "S2A_MSIL2A_20190424T073619_N0211_R092_T36JUN",
    "INPUT": "scene.tif",
    "MODEL": "toy",
    "MODEL_SHA256": "ab" * 32,
    "THRESHOLD": "0.3",
    "REFLECTANCE": "reflectance as stored",
    "ENGINE_VERSION": "0.1.0",
}
PIXEL = 10.0
ORIGIN = (500000.0, 600000.0)


def _system(epsg):
    system = osr.SpatialReference()
    system.ImportFromEPSG(epsg)
    return system


def write_raster(path, array, nodata, tags=None, epsg=32630):
    """One band as the engine writes it: a tagged, tiled GeoTIFF with overviews."""
    kind = gdal.GDT_Byte if array.dtype == np.uint8 else gdal.GDT_Float32
    height, width = array.shape
    memory = gdal.GetDriverByName("MEM").Create("", width, height, 1, kind)
    memory.SetGeoTransform((ORIGIN[0], PIXEL, 0, ORIGIN[1], 0, -PIXEL))
    if epsg:
        memory.SetProjection(_system(epsg).ExportToWkt())
    memory.GetRasterBand(1).SetNoDataValue(nodata)
    memory.GetRasterBand(1).WriteArray(array)
    memory.SetMetadata({**TAGS, **(tags or {})})
    gdal.Translate(str(path), memory, format="COG", creationOptions=["COMPRESS=DEFLATE"])
    return str(path)


FIELDS = (
    ("id", ogr.OFTInteger), ("area_m2", ogr.OFTReal), ("n_pixels", ogr.OFTInteger), ("mean_prob", ogr.OFTReal),
    ("max_prob", ogr.OFTReal), ("lon", ogr.OFTReal), ("lat", ogr.OFTReal), ("fdi", ogr.OFTReal), ("ndvi", ogr.OFTReal),
    ("scene", ogr.OFTString), ("model", ogr.OFTString), ("model_hash", ogr.OFTString), ("threshold", ogr.OFTReal),
)  # fmt: skip


def write_detections(path, boxes, tags=None, epsg=32630):
    """A GeoPackage of detections: each box is column, row, width, height in pixels, mean and highest probability."""
    tags = {**TAGS, **(tags or {})}
    source = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = source.CreateLayer("detections", _system(epsg) if epsg else None, ogr.wkbMultiPolygon)
    for name, kind in FIELDS:
        layer.CreateField(ogr.FieldDefn(name, kind))
    layer.StartTransaction()
    for number, (col, row, width, height, mean, highest) in enumerate(boxes, 1):
        west, north = ORIGIN[0] + col * PIXEL, ORIGIN[1] - row * PIXEL
        east, south = west + width * PIXEL, north - height * PIXEL
        feature = ogr.Feature(layer.GetLayerDefn())
        ring = f"{west} {north},{east} {north},{east} {south},{west} {south},{west} {north}"
        feature.SetGeometry(ogr.CreateGeometryFromWkt(f"MULTIPOLYGON ((({ring})))"))
        values = {
            "id": number, "area_m2": width * height * PIXEL**2, "n_pixels": width * height, "mean_prob": mean,
            "max_prob": highest, "lon": -3 + col / 1e4, "lat": 5.4 - row / 1e4, "fdi": 0.02, "ndvi": 0.1,
            "scene": tags["SCENE"], "model": tags["MODEL"], "model_hash": tags["MODEL_SHA256"],
            "threshold": float(tags["THRESHOLD"]),
        }  # fmt: skip
        for name, value in values.items():
            feature.SetField(name, value)
        layer.CreateFeature(feature)
    layer.CommitTransaction()
    del layer, source
    return str(path)


BOXES = ((10, 12, 4, 2, 0.8, 0.95), (60, 30, 1, 1, 0.4, 0.4), (30, 50, 6, 1, 0.6, 0.7), (80, 70, 2, 2, 0.5, 0.55))


def write_run(folder, size=100, boxes=BOXES, name="", tags=None, epsg=32630, faint=True):
    """Mask, probability and detections that agree with one another, and the scene they come from.

    Where `faint`, a patch of 3 x 3 pixels at column 45, row 80 has the probability 0.2: below the run's threshold.
    """
    tags = dict(tags or {})
    probability = np.full((size, size), 0.01, dtype=np.float32)
    mask = np.zeros((size, size), dtype=np.uint8)
    for col, row, width, height, mean, highest in boxes:
        probability[row : row + height, col : col + width] = mean
        probability[row, col] = highest
        mask[row : row + height, col : col + width] = 1
    if faint:
        probability[80:83, 45:48] = 0.2
    mask[:5] = 3
    mask[5:8, :20] = 4
    mask[:, -10:] = 255
    probability[(mask == 3) | (mask == 4) | (mask == 255)] = np.nan
    scene = folder / f"{name}scene.tif"
    write_scene(scene, probability, epsg)
    tags.setdefault("INPUT", str(scene))
    return {
        "SCENE": str(scene),
        "MASK": write_raster(folder / f"{name}mask.tif", mask, 255, tags, epsg),
        "PROBABILITY": write_raster(folder / f"{name}probability.tif", probability, np.nan, tags, epsg),
        "DETECTIONS": write_detections(folder / f"{name}detections.gpkg", boxes, tags, epsg),
    }


def clouded(run, tags=None):
    """The run with a mask that is all cloud: nothing was observed."""
    mask = np.full((100, 100), 4, dtype=np.uint8)
    return {**run, "MASK": write_raster(run["MASK"].replace(".tif", "_clouded.tif"), mask, 255, tags)}


NAMES = "B1 B2 B3 B4 B5 B6 B7 B8 B8A B11 B12".split()


def write_scene(path, probability, epsg=32630):
    """Eleven bands of reflectance: dark water, brighter in the near infrared where debris is likely."""
    height, width = probability.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), width, height, len(NAMES), gdal.GDT_Float32)
    dataset.SetGeoTransform((ORIGIN[0], PIXEL, 0, ORIGIN[1], 0, -PIXEL))
    if epsg:
        dataset.SetProjection(_system(epsg).ExportToWkt())
    for number, name in enumerate(NAMES, 1):
        water = 0.06 - 0.005 * number
        values = water + np.nan_to_num(probability) * (0.15 if name in ("B6", "B7", "B8", "B8A") else 0.05)
        dataset.GetRasterBand(number).WriteArray(values.astype(np.float32))
        dataset.GetRasterBand(number).SetDescription(name)
    dataset.FlushCache()
