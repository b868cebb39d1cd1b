"""Detect with the toy model, run and read back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyogrio.raw
import rasterio
import shapely

from engine.jobs import DetectRequest, DetectResult, run
from engine.monitor import silent


@dataclasses.dataclass
class Detector:
    """Runs Detect into one folder and reads what it wrote."""

    folder: Path
    model: Path

    def __call__(self, path: Path | str, monitor=silent, vector: str = "found.gpkg", **values: object) -> DetectResult:
        self.vector = self.folder / vector
        request = DetectRequest(
            input=str(path),
            mask=str(self.folder / "mask.tif"),
            probability=str(self.folder / "probability.tif"),
            detections=str(self.vector),
            **{"model": str(self.model), "precision": "float32", **values},
        )
        return run(request, monitor)

    def raster(self, name: str) -> np.ndarray:
        with rasterio.open(self.folder / f"{name}.tif") as dataset:
            return dataset.read(1)

    def table(self) -> dict[str, np.ndarray]:
        meta, _, geometry, columns = pyogrio.raw.read(self.vector)
        return {**dict(zip(meta["fields"], columns, strict=True)), "geometry": shapely.from_wkb(geometry)}
