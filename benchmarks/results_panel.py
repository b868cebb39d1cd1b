"""How long a person waits in the results panel: 2,000 and 50,000 detections on a scene of 4000 x 4000 pixels.

Run it with the Python of the plugin's tests, offscreen: `.venv-qgis/bin/python -m benchmarks.results_panel`. It prints
the median of a step to the next detection, of a decision written to the file, of a turn of the slider (mask, detections
and table changed), and of the same until the map of the whole scene is drawn.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZE, DETECTIONS = 4000, (2_000, 50_000)
STEPS = 10
THRESHOLDS = (400, 550, 700, 350, 600)
LONGEST_WAIT_S = 60


def write_large(folder: Path, detections: int) -> dict[str, str]:
    """Mask, probability and detections of a large run: single pixels on a grid, no two of which touch."""
    from tests.plugin.results_data import write_detections, write_raster

    rng = np.random.default_rng(0)
    side = SIZE // 2 - 100
    places = rng.choice(side * side, detections, replace=False)
    probabilities = rng.random(detections) * 0.7 + 0.3
    rows, cols = places // side * 2 + 10, places % side * 2 + 10
    probability = np.full((SIZE, SIZE), 0.01, dtype=np.float32)
    probability[rows, cols] = probabilities
    mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
    mask[rows, cols] = 1
    boxes = [
        (int(col), int(row), 1, 1, float(p), float(p)) for row, col, p in zip(rows, cols, probabilities, strict=True)
    ]
    return {
        "MASK": write_raster(folder / "mask.tif", mask, 255),
        "PROBABILITY": write_raster(folder / "probability.tif", probability, np.nan),
        "DETECTIONS": write_detections(folder / "detections.gpkg", boxes),
    }


def measure(panel: Any, canvas: Any) -> dict[str, float]:
    """Median seconds of what a person waits for; drawing the map is left out unless the name says so."""
    from qgis.core import QgsApplication

    canvas.setLayers([panel.run.detections, panel.run.mask])
    times: dict[str, list[float]] = {"step": [], "decision": [], "slider": [], "slider, drawn": []}

    def timed(name: str, action: Callable[[], object]) -> None:
        begin = time.perf_counter()
        action()
        QgsApplication.processEvents()
        times[name].append(time.perf_counter() - begin)
        canvas.stopRendering()

    for _ in range(STEPS):
        timed("step", lambda: panel.step(1))
        timed("decision", lambda: panel.decide("accepted"))
    canvas.setExtent(panel.run.mask.extent())
    for value in THRESHOLDS:
        begin = time.perf_counter()
        timed("slider", lambda value=value: panel.controls.slider.setValue(value))
        done: list[bool] = []
        canvas.mapCanvasRefreshed.connect(lambda done=done: done.append(True))
        canvas.setLayers([panel.run.detections, panel.layers.made("threshold"), panel.run.mask])
        canvas.refresh()
        while not done and time.perf_counter() - begin < LONGEST_WAIT_S:
            QgsApplication.processEvents()
            time.sleep(0.002)
        times["slider, drawn"].append(time.perf_counter() - begin)
    return {name: float(np.median(values)) for name, values in times.items()}


def wait_in_panel(application: Any, detections: int) -> None:
    """Open a panel on a large run, measure and print."""
    from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
    from qgis.gui import QgsMapCanvas

    from debris_qgis.about import STYLES
    from debris_qgis.gui.results_panel import ResultsPanel

    with tempfile.TemporaryDirectory() as room:
        project, canvas = QgsProject.instance(), QgsMapCanvas()
        canvas.resize(1000, 800)
        kinds = {"DETECTIONS": QgsVectorLayer, "MASK": QgsRasterLayer, "PROBABILITY": QgsRasterLayer}
        for name, path in write_large(Path(room), detections).items():
            layer = kinds[name](path, name.lower())
            layer.loadNamedStyle(str(STYLES / f"{name.lower()}.qml"))
            project.addMapLayer(layer)
        canvas.setDestinationCrs(layer.crs())
        begin = time.perf_counter()
        panel = ResultsPanel(canvas, None, project)
        opened = time.perf_counter() - begin
        while panel.scan is None:
            application.processEvents()
            time.sleep(0.005)
        print(f"{detections:,} detections, {SIZE} x {SIZE} pixels: opened in {opened:.2f} s,", end=" ")
        print(f"rasters read in the background after {time.perf_counter() - begin:.2f} s")
        for name, seconds in measure(panel, canvas).items():
            print(f"{name}: {1000 * seconds:.0f} ms")
        panel.close_down()
        canvas.setLayers([])
        project.clear()
        del panel, canvas, layer


def main() -> int:
    """Measure both sizes of run."""
    from osgeo import gdal
    from qgis.core import QgsApplication

    gdal.UseExceptions()
    application = QgsApplication([], True)
    application.initQgis()
    for detections in DETECTIONS:
        wait_in_panel(application, detections)
    application.exitQgis()
    return 0


if __name__ == "__main__":
    sys.exit(main())
