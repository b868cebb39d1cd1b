"""A small folder in MARIDA's layout, whose debris is easy to learn, and a raster with polygons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio.raw
import rasterio
import shapely
from affine import Affine
from pyproj import Transformer

from engine.bands import MARIDA_ORDER

UTM = "EPSG:32616"
NIR = 7


def image(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Dark water with some bright patches in the near infrared, and where they are."""
    reflectance = rng.normal(0.03, 0.004, (11, size, size)).astype(np.float32)
    debris = np.zeros((size, size), dtype=bool)
    for _ in range(4):
        row, col = rng.integers(2, size - 6, 2)
        debris[row : row + 3, col : col + 4] = True
    reflectance[NIR, debris] += 0.12
    return reflectance, debris


def write(path: Path, array: np.ndarray, transform: Affine, names: tuple[str, ...] = ()) -> None:
    """A GeoTIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", count=len(array), height=array.shape[1], width=array.shape[2], dtype=array.dtype,
        crs=UTM, transform=transform,
    ) as dataset:  # fmt: skip
        dataset.write(array)
        dataset.descriptions = names or [None] * len(array)


def marida_folder(root: Path, scenes: int = 4, patches: int = 2, size: int = 32) -> Path:
    """Patches of several scenes: class 1 where bright, 7 elsewhere, a margin not labelled; and two lists."""
    rng = np.random.default_rng(0)
    names = []
    for scene in range(scenes):
        for number in range(patches):
            reflectance, debris = image(rng, size)
            classes = np.where(debris, 1, 7).astype(np.float32)
            classes[:, :2] = 0
            name = f"S2_{scene + 1}-1-20_16PCC_{number}"
            folder = root / "patches" / name.rsplit("_", 1)[0]
            place = Affine(10, 0, 4e5 + 1e4 * scene, 0, -10, 1.7e6 - 1e3 * number)
            write(folder / f"{name}.tif", reflectance, place)
            write(folder / f"{name}_cl.tif", classes[None], place)
            write(folder / f"{name}_conf.tif", np.ones_like(classes)[None], place)
            names.append(name)
    (root / "splits").mkdir()
    half = len(names) // 2
    (root / "splits" / "train_X.txt").write_bytes("\r\n".join(n[3:] for n in names[:half]).encode())
    (root / "splits" / "val_X.txt").write_text("\n".join(names[half:]))
    return root


def raster_and_polygons(root: Path, crs: str = "EPSG:4326", size: int = 256) -> tuple[Path, Path]:
    """A raster with named bands, and polygons over two of its corners in another CRS, class 1 and class 7."""
    reflectance, _ = image(np.random.default_rng(1), size)
    debris = np.zeros((size, size), dtype=bool)
    for row, col in ((4, 4), (12, 20), (20, 8), (size - 20, size - 20), (size - 12, size - 28)):
        debris[row : row + 4, col : col + 4] = True
    reflectance[NIR] = np.where(debris, 0.15, 0.03)
    place = Affine(10, 0, 4e5, 0, -10, 1.7e6)
    write(root / "scene.tif", reflectance, place, MARIDA_ORDER)
    to = Transformer.from_crs(UTM, crs, always_xy=True)
    shapes, classes = [], []
    for row, col, side, number in (
        (0, 0, 30, 7), (4, 4, 4, 1), (12, 20, 4, 1), (20, 8, 4, 1), (size - 30, size - 30, 29, 7),
        (size - 20, size - 20, 4, 1), (size - 12, size - 28, 4, 1),
    ):  # fmt: skip
        corners = [place @ (col + x, row + y) for x, y in ((0, 0), (side, 0), (side, side), (0, side))]
        shapes.append(shapely.Polygon([to.transform(x, y) for x, y in corners]))
        classes.append(number)
    path = root / "labels.gpkg"
    pyogrio.raw.write(
        path, geometry=shapely.to_wkb(np.array(shapes)), field_data=[np.array(classes)], fields=["class"],
        geometry_type="Polygon", crs=crs, driver="GPKG",
    )  # fmt: skip
    return root / "scene.tif", path
