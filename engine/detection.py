"""The job `detect`: from one raster to probability, mask and detections.

Tiles are read ahead in a thread, predicted, blended; every finished block of rows is classified, written, and searched
for detections. Memory grows with the width of a scene and with what is found, never with its height.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine import __version__
from engine.alternatives import Alternatives
from engine.components import Component, ComponentCollector
from engine.detections import MEASURES, Detection, detections_from, driver_for, measures_of, write_detections
from engine.errors import OutputError
from engine.ground import Ground
from engine.jobs import DetectRequest, DetectResult
from engine.modelfile import ModelCard
from engine.monitor import Monitor, Share, silent, watched
from engine.outputs import Staging
from engine.prediction import CHANNELS, Predictor
from engine.raster import SOFTWARE, gdal_settings
from engine.raster_sink import RasterSink
from engine.sentinel2.masks import LOOK, NO_DATA
from engine.sentinel2.quality import Quality, make_quality, scene_facts
from engine.sentinel2.shift import water_shift
from engine.sentinel2.source import Source, open_source
from engine.surroundings import Surveyor
from engine.tally import CLEAR, DEBRIS, FLOATING, NOT_OBSERVED, OBSERVED, Tally
from engine.tile_prediction import Tile, overlap_of, predicted, tile_size
from engine.tiling import Window, blend, tile_axis

__all__ = ["classify", "detect"]

log = logging.getLogger(__name__)

FLOATING_ELSE = 100
"""In the mask while it is made: debris, or other floating matter where the group turns out to be no debris."""


def detect(request: DetectRequest, monitor: Monitor = silent) -> DetectResult:
    """Find floating debris in one raster and write what was asked for.

    Raises:
        EngineError: see `engine.errors`; no output is left behind.
    """
    _check_outputs(request)
    monitor(0.0, "Loading the model")
    with gdal_settings(), ExitStack() as stack:
        predictor = Predictor(request.model, request.device, request.precision)
        staging = stack.enter_context(Staging(request.job_id))
        source = stack.enter_context(open_source(request, predictor.card.bands))
        staging.reads(predictor.path, request.water, request.area, *request.product, *source.files)
        places = {"mask": request.mask, "probability": request.probability, "detections": request.detections}
        staged = {name: staging.add(place) for name, place in places.items() if place}
        scratch = staging.folder(Path(request.mask).absolute().parent) / "quality.tif"
        with make_quality(scratch, source, request, Share(monitor, 0.02, 0.1)) as quality:
            run = _Run(request, predictor, source, quality, staged, stack)
            run.search(Share(monitor, 0.1, 0.9))
            result = run.finish(Share(monitor, 0.9, 1.0))
        staging.publish()
    return result


def classify(probabilities: npt.NDArray[np.float32], extent: float, card: ModelCard) -> npt.NDArray[np.uint8]:
    """Mask values of blended probabilities, (2, rows, columns) in the order of CHANNELS; NaN is no data.

    Pixels from `extent` on are debris, or FLOATING_ELSE where they are other floating matter unless they are debris:
    which it is, is known once the whole group has been seen.
    """
    debris, floating = probabilities
    mask = np.full(debris.shape, CLEAR, dtype=np.uint8)
    if card.channels("floating"):
        mask[debris + floating >= card.floating_threshold] = FLOATING
    mask[debris >= extent] = np.where(mask[debris >= extent] == FLOATING, FLOATING_ELSE, DEBRIS)
    mask[np.isnan(debris)] = NO_DATA
    return mask


def _check_outputs(request: DetectRequest) -> None:
    for path in (request.mask, request.probability):
        if path and Path(path).suffix.lower() not in (".tif", ".tiff"):
            raise OutputError(f"{path} is no GeoTIFF's name: rasters are written as .tif.")
    if request.detections:
        driver_for(request.detections)


class _Run:
    """One run over one scene: what is open, and what has been counted."""

    def __init__(
        self, request: DetectRequest, predictor: Predictor, source: Source, quality: Quality,
        staged: Mapping[str, Path], stack: ExitStack,
    ) -> None:  # fmt: skip
        """Open the rasters that are written.

        `stack` closes them before the staging, which it got earlier, removes its folder: Windows removes no open file.
        """
        card, scene = predictor.card, source.scene
        self.request, self.predictor, self.scene = request, predictor, scene
        self.source, self.quality = source, quality
        self.shift = water_shift(scene, quality) if request.shift_to_water else None
        self.threshold = card.threshold if request.threshold is None else request.threshold
        extent = card.extent_at(self.threshold) if request.extent_threshold is None else request.extent_threshold
        self.extent = min(extent, self.threshold)
        self.ground = Ground.of(scene.grid)
        if self.ground is None:
            log.warning("The raster has no CRS that places it on Earth: areas, longitudes and latitudes are unknown.")
        self.tally = Tally(self.ground)
        # After the measures, of each class the pixels that are likeliest to be it if they are no debris; then pixels,
        # and their area, that are other floating matter if they are no debris.
        self.collector = ComponentCollector(scene.grid.width, len(MEASURES) + len(card.classes) + 2)
        self.detections_path = staged.get("detections")
        tags = self._tags()
        values = {"VALUES": "0 clear, 1 debris, 2 other floating matter, 3 land, 4 cloud or shadow, 255 no data"}
        self.mask = stack.enter_context(
            RasterSink(staged["mask"], scene.grid, "uint8", NO_DATA, "Marine debris mask", {**tags, **values})
        )
        self.probability: RasterSink | None = None
        if "probability" in staged:
            sink = RasterSink(staged["probability"], scene.grid, "float32", np.nan, self._layers(), tags)
            self.probability = stack.enter_context(sink)

    def _layers(self) -> list[str]:
        """Bands of the probability: of debris and, where the model tells it, of anything that floats."""
        floating = self.predictor.card.channels("floating")
        return ["Probability of debris", *(["Probability of floating matter, debris or other"] if floating else [])]

    def _tags(self) -> dict[str, str]:
        card = self.predictor.card
        return {
            "SCENE": self.scene.name,
            "INPUT": self.source.path,
            **{key.upper(): value for key, value in self.source.tags.items() if key != "quality_mask"},
            "LEVEL_NOTE": self.source.level_note(card.level),
            "REFLECTANCE": self.scene.scaling.source
            + ("" if self.shift is None else ", shifted to the usual level of water"),
            "MODEL": card.name,
            "MODEL_SHA256": self.predictor.sha256,
            "PRECISION": "bfloat16" if self.predictor.mixed else "float32",
            "THRESHOLD": f"{self.threshold:.6g}",
            "EXTENT_THRESHOLD": f"{self.extent:.6g}",
            "ENGINE_VERSION": __version__,
            "PLUGIN_VERSION": self.request.plugin_version or "",
            "SOFTWARE": SOFTWARE,
        }

    def search(self, monitor: Monitor) -> None:
        """Go over the scene once: probabilities, mask, components."""
        grid = self.scene.grid
        tile = tile_size(grid.height, grid.width)
        overlap = overlap_of(self.request.tile_overlap, self.predictor.radius, tile)
        rows, cols = tile_axis(grid.height, tile[0], overlap[0]), tile_axis(grid.width, tile[1], overlap[1])
        others = Alternatives(rows, cols)
        total = len(rows.starts) * len(cols.starts)
        done = 0
        with ThreadPoolExecutor(1) as reader:

            def predict(windows: Sequence[Window]) -> Iterator[npt.NDArray[np.float32]]:
                nonlocal done
                for window, (scores, classes) in zip(
                    windows, predicted(self._read, self.predictor, windows, reader), strict=True
                ):
                    others.add(window, classes)
                    yield scores
                    done += 1
                    monitor(done / total, f"Tile {done} of {total}")

            for row, block in blend(rows, cols, len(CHANNELS), predict):
                self._take(row, block, others.rows(block.shape[1]))

    def _read(self, window: Window) -> Tile:
        """Reflectance of a window, and where the network is to look: where there is data, water, and no cloud."""
        reflectance, observed = self.scene.read(window)
        if self.shift is not None:
            reflectance += self.shift[:, None, None]
        return reflectance, observed & (self.quality.read(window) == LOOK)

    def _take(self, row: int, block: npt.NDArray[np.float32], others: npt.NDArray[np.uint8]) -> None:
        mask = classify(block, self.extent, self.predictor.card)
        reasons = self.quality.read(Window(row, 0, *mask.shape))
        unseen = (mask == NO_DATA) & (reasons != LOOK)
        mask[unseen] = reasons[unseen]
        hits = (mask == DEBRIS) | (mask == FLOATING_ELSE)
        self.tally.add(row, np.where(hits, DEBRIS, mask).astype(np.uint8))
        self.mask.write(row, mask)
        if self.probability:
            both = np.stack([block[0], np.minimum(block[0] + block[1], 1)])
            self.probability.write(row, both[: len(self._layers())])
        counted = others[hits] == np.arange(len(self.predictor.card.classes))[:, None]
        measures = self._measures(row, hits, block[0])
        floating = (mask[hits] == FLOATING_ELSE).astype(np.float64)
        else_floating = np.stack([floating, floating * measures[MEASURES.index("area_m2")]])
        self.collector.add(row, hits, np.concatenate([measures, counted, else_floating]))

    def _measures(
        self, row: int, hits: npt.NDArray[np.bool_], probability: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float64]:
        """Measures of the debris pixels of a block; their reflectance is read again, only where there are any."""
        rows, cols = np.nonzero(hits)
        if not len(rows):
            return np.zeros((len(MEASURES), 0))
        left, width = int(cols.min()), int(np.ptp(cols)) + 1
        reflectance = np.empty((len(self.predictor.card.bands), len(rows)), dtype=np.float32)
        for first in range(0, len(hits), 64):
            inside = (rows >= first) & (rows < first + 64)
            if inside.any():
                window = Window(row + first, left, min(64, len(hits) - first), width)
                reflectance[:, inside] = self.scene.read(window)[0][:, rows[inside] - first, cols[inside] - left]
        return measures_of(self.predictor.card.bands, reflectance, probability[hits], rows + row, cols, self.ground)

    def finish(self, monitor: Monitor) -> DetectResult:
        """Complete the outputs, still under their staged names.

        Raises:
            RasterError: nothing was observed at all.
        """
        if self.tally.pixels[NO_DATA] == sum(self.tally.pixels.values()):
            raise self.source.nothing_seen(self.request)
        if not self.tally.observed:
            log.warning("No open water was found in the scene: it is all land, cloud or no data.")
        monitor(0.0, "Outlining detections")
        components = self._kept(self.collector.components(), Share(monitor, 0.02, 0.1))
        surveyor = Surveyor(self.quality, self.ground, self.request.shore, self.request.cloud_collar)
        names = [entry.name for entry in self.predictor.card.classes]
        detections = detections_from(
            components, self.scene.grid, self.ground, surveyor, names, Share(monitor, 0.1, 0.3)
        )
        if self.detections_path:
            write_detections(self.detections_path, detections, self.scene.grid, self._constants())
        monitor(0.3, "Writing the mask")
        self.mask.finish("nearest")
        if self.probability:
            monitor(0.5, "Writing the probability")
            self.probability.finish("average")
        monitor(1.0, "Done")
        return self._result(detections)

    def _kept(self, components: Sequence[Component], monitor: Monitor) -> list[Component]:
        """The components that are sure and large enough; the others are what they are else, in mask and tally too."""
        kept = []
        probability, area = MEASURES.index("probability"), MEASURES.index("area_m2")
        for component in watched(components, monitor, "Leaving out what is too faint or too small"):
            # The rasters hold float32, and so did what was compared with the extent.
            sure = component.maxima[probability] >= np.float32(self.threshold)
            if sure and component.pixels >= self.request.min_pixels:
                kept.append(component)
                continue
            self.mask.replace({DEBRIS: CLEAR, FLOATING_ELSE: FLOATING}, component.geometry)
            floating, floating_area = int(component.sums[-2]), float(component.sums[-1])
            self.tally.move(DEBRIS, FLOATING, floating, floating_area)
            self.tally.move(DEBRIS, CLEAR, component.pixels - floating, float(component.sums[area]) - floating_area)
        if self.predictor.card.channels("floating"):
            self.mask.replace({FLOATING_ELSE: DEBRIS})
        return kept

    def _constants(self) -> dict[str, str | float]:
        return {
            "scene": self.scene.name,
            "model": self.predictor.card.name,
            "model_hash": self.predictor.sha256,
            "threshold": self.threshold,
            "level": self.source.level or "",
            "sensing_time": self.source.tags.get("sensing_time", ""),
            "product_id": self.source.tags.get("product_id", ""),
            "baseline": self.source.tags.get("processing_baseline", ""),
        }

    def _result(self, detections: Sequence[Detection]) -> DetectResult:
        tally = self.tally
        return DetectResult(
            mask=self.request.mask,
            probability=self.request.probability,
            detections=self.request.detections,
            detection_count=len(detections),
            debris_pixels=tally.pixels[DEBRIS],
            floating_pixels=tally.pixels[FLOATING],
            observed_pixels=tally.observed,
            not_observed_pixels=sum(tally.pixels[value] for value in NOT_OBSERVED),
            debris_area_m2=tally.area_of(DEBRIS),
            observed_area_m2=tally.area_of(*OBSERVED),
            not_observed_area_m2=tally.area_of(*NOT_OBSERVED),
            threshold=self.threshold,
            extent_threshold=self.extent,
            model_name=self.predictor.card.name,
            model_sha256=self.predictor.sha256,
            **scene_facts(self.source, self.quality, tally.area_of, self.predictor.card.level),
            has_floating_class=bool(self.predictor.card.channels("floating")),
        )
