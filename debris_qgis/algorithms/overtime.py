"""`debris:overtime`, Debris over Time."""

import os
import uuid
from pathlib import Path

from qgis.core import (
    NULL,
    QgsFeature,
    QgsField,
    QgsFields,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsWkbTypes,
)

from ..compat import DOUBLE, POLYGONS, RASTERS, REAL, TEXT, WHOLE
from ..presentation import TemporalLayer
from ..results.areas import MaskError, areas_of
from ..results.clean_dates import Mask, masks_of_empty, table_of
from ..results.corrections import common_crs
from ..results.fields import is_detections
from ..results.overtime_page import page, write_table
from ..results.period import iso, parse
from ..results.persistence import OverTimeError, date_of, group, patches_of, time_of
from ..results.projections import fresh_projections
from ..results.provenance import of_raster
from ..results.shown import as_found
from .base import EngineAlgorithm
from .layer_crs import crs_set_by_hand

HELP = """<p>Puts several dates of one place side by side: how much suspected debris on each date, how much was
observed then, and where detections lie within reach of those of other dates.</p>
<p><b>Detections</b>: one layer a date, as Detect Marine Debris wrote them; <b>masks</b> of the same runs say how much
was observed. The time comes from the scene's metadata, else from a date in the layer's name. A layer without any
detections is a date as well: its mask, told by name, folder or order, says when it was and what was observed.</p>
<p><b>Reach</b>: detections of different dates within this distance are one group. Things drift: a group is a place
where something is found again, not proof that it is the same thing.</p>
<p>The layers have their times set for QGIS's temporal controller. What was rejected does not count.</p>"""


class OverTimeAlgorithm(EngineAlgorithm):
    """Several tables of detections in; one with times and groups, a table, a page out."""

    NAME = "overtime"
    DISPLAY_NAME = "Debris over Time"
    GROUP = "Results"
    GROUP_ID = "results"
    HELP = HELP

    def tags(self):
        """Words that find the algorithm in the toolbox."""
        return ["time series", "persistence", "temporal", "trend", "dates"]

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declare parameters and outputs."""
        self.add(QgsProcessingParameterMultipleLayers("DETECTIONS", self.tr("Detections, one layer a date"), POLYGONS))
        self.add(QgsProcessingParameterMultipleLayers("MASKS", self.tr("Masks of the same runs"), RASTERS, None, True))
        self.add(QgsProcessingParameterNumber("REACH", self.tr("Reach (m)"), DOUBLE, 200.0, False, 0.0))
        self.add(QgsProcessingParameterFeatureSink("OUTPUT", self.tr("Detections of all dates"), POLYGONS))
        self.add(
            QgsProcessingParameterFeatureSink("GROUPS", self.tr("Where it persists"), POLYGONS, None, True, True),
        )
        for name, label, kind in (("TABLE", "Table", "CSV (*.csv)"), ("HTML", "Page with plot", "HTML (*.html)")):
            self.add(QgsProcessingParameterFileDestination(name, self.tr(label), self.tr(kind), None, True, True))
        for name, label in (("DATES", "Number of dates"), ("LASTING", "Groups of more than one date")):
            self.addOutput(QgsProcessingOutputNumber(name, self.tr(label)))

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Take copies of the layers in the main thread: a layer must not be touched in another."""
        self._tables = [as_found(layer) for layer in self.parameterAsLayerList(parameters, "DETECTIONS", context)]
        masks = self.parameterAsLayerList(parameters, "MASKS", context) or []
        self._masks = [(layer.source(), crs_set_by_hand(layer)) for layer in masks]
        self._groups = {
            name: [
                _group_of(layer, context.project())
                for layer in self.parameterAsLayerList(parameters, name, context) or []
            ]
            for name in ("DETECTIONS", "MASKS")
        }
        return super().prepareAlgorithm(parameters, context, feedback)

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Count, group, write."""
        fresh_projections()
        collected, problem = self._collected(feedback)
        if problem:
            raise QgsProcessingException(problem)
        dates, patches, crs = collected
        groups = group(patches, self.parameterAsDouble(parameters, "REACH", context), crs)
        found = {"DATES": len(dates), "LASTING": sum(len(each.dates) > 1 for each in groups)}
        sizes = {number: len(each.dates) for number, each in enumerate(groups, 1)}
        found["OUTPUT"] = self._sink(
            parameters, "OUTPUT", context, crs, _patch_fields(), [_patch_row(p, dates, sizes) for p in patches]
        )
        lasting = [_group_row(number, each, dates) for number, each in enumerate(groups, 1) if len(each.dates) > 1]
        found["GROUPS"] = self._sink(parameters, "GROUPS", context, crs, _group_fields(), lasting)
        for name, write in (
            ("TABLE", lambda path: write_table(path, dates)),
            ("HTML", lambda path: path.write_text(page(dates, groups), encoding="utf-8")),
        ):
            target = self.parameterAsFileOutput(parameters, name, context)
            if target:
                _replace(Path(target), write)
                found[name] = target
        for date in dates:
            found_then = "not observed" if date.missed else f"{date.count} detection(s)"
            feedback.pushInfo(f"{date.period}: {found_then}, {date.scene}")
        feedback.pushInfo(self.tr("{} place(s) with detections on more than one date.").format(found["LASTING"]))
        return {name: value for name, value in found.items() if value is not None}

    def _collected(self, feedback):
        """What `_collect` gives, or what is wrong.

        An exception that Processing has seen keeps its frames beyond the end of QGIS, which layers do not survive: so
        none goes out of where layers are looked at, and none is kept.
        """
        try:
            return self._collect(feedback), ""
        except (OverTimeError, MaskError) as error:
            return None, str(error)
        finally:
            self._tables = []

    def _collect(self, feedback):
        """The dates in order of time, their patches, and the CRS of these."""
        wrong = next((layer for layer in self._tables if not is_detections(layer)), None)
        if wrong is not None:
            raise OverTimeError(f"{wrong.name()} is no table of detections: choose what Detect Marine Debris wrote.")
        groups = self._groups["MASKS"]
        masks = [Mask(path, of_raster(path), group, crs) for (path, crs), group in zip(self._masks, groups)]
        timed = []
        for layer, mask in zip(self._tables, self._masks_of_tables(masks, feedback)):
            period, provenance = _time(layer, mask, masks)
            mask = mask or next((m for m in masks if m.known.scene and m.known.key == provenance.key), None)
            areas = areas_of(mask.path, mask.crs) if mask else None
            timed.append((period, layer, date_of(layer, period, provenance, areas)))
        timed.sort(key=lambda entry: entry[0].begin)
        crs = common_crs(self._tables)
        patches = [patch for number, (_, layer, _) in enumerate(timed) for patch in patches_of(layer, number, crs)]
        return [date for _, _, date in timed], patches, crs

    def _masks_of_tables(self, masks, feedback):
        """The mask of each table that is empty; None for others, whose rows tell, and where it is not clear.

        Raises:
            OverTimeError: without its mask, a table would have no date.
        """
        tables = [table_of(layer, group) for layer, group in zip(self._tables, self._groups["DETECTIONS"])]
        paired = masks_of_empty(tables, masks)
        found = []
        for number, table in enumerate(tables):
            found.append(masks[paired[number]] if number in paired else None)
            if table.own is None and masks and number not in paired:
                self._say_unclear(table, feedback)
        return found

    def _say_unclear(self, table, feedback):
        text = self.tr(
            "{} holds no detections, so nothing in it names its scene, and which of the masks is its own is not clear: "
            "give one mask for each layer, in the same order, or name both files alike."
        ).format(table.name)
        if not (parse(table.name) or parse(table.path)):
            raise OverTimeError(text)
        feedback.pushWarning(text)

    def _sink(self, parameters, name, context, crs, fields, rows):
        sink, target = self.parameterAsSink(parameters, name, context, fields, QgsWkbTypes.Type.MultiPolygon, crs)
        if sink is None:
            if parameters.get(name):
                raise QgsProcessingException(self.invalidSinkError(parameters, name))
            return None
        for values, geometry in rows:
            feature = QgsFeature(fields)
            feature.setAttributes(values)
            geometry.convertToMultiType()
            feature.setGeometry(geometry)
            if not sink.addFeature(feature):
                raise QgsProcessingException(self.writeFeatureError(sink, parameters, name))
        if context.willLoadLayerOnCompletion(target):
            details = context.layerToLoadOnCompletionDetails(target)
            details.setPostProcessor(TemporalLayer.new())
        return target


def _time(layer, mask, masks):
    """When a layer's scene was taken, and what is known of it.

    Raises:
        OverTimeError: nothing tells.
    """
    if mask is not None and next(layer.getFeatures(), None) is None:
        return mask.known.period or time_of(layer, [])[0], mask.known
    return time_of(layer, [each.known for each in masks])


def _group_of(layer, project) -> str:
    """What tells the group of layers that one stands in from others; an empty text where it stands in none."""
    node = project.layerTreeRoot().findLayer(layer.id()) if project is not None else None
    parent = node.parent() if node is not None else None
    return ",".join(parent.findLayerIds()) if parent is not None and parent.parent() is not None else ""


def _fields(*kinds) -> QgsFields:
    fields = QgsFields()
    for name, kind in kinds:
        fields.append(QgsField(name, kind))
    return fields


def _patch_fields() -> QgsFields:
    return _fields(
        ("group", WHOLE), ("n_dates", WHOLE), ("id", WHOLE), ("area_m2", REAL), ("max_prob", REAL), ("scene", TEXT),
        ("time_begin", TEXT), ("time_end", TEXT),
    )  # fmt: skip


def _patch_row(patch, dates, sizes):
    date = dates[patch.date]
    times = [iso(date.period.begin), iso(date.period.end)]
    values = [patch.group, sizes[patch.group], patch.number, patch.area_m2, patch.max_prob, date.scene, *times]
    return values, patch.geometry


def _group_fields() -> QgsFields:
    return _fields(
        ("group", WHOLE), ("n_dates", WHOLE), ("detections", WHOLE), ("area_m2", REAL), ("max_prob", REAL),
        ("dates", TEXT), ("time_begin", TEXT), ("time_end", TEXT),
    )  # fmt: skip


def _group_row(number, found, dates):
    periods = [dates[date].period for date in found.dates]
    values = [
        number,
        len(periods),
        len(found.patches),
        sum(patch.area_m2 for patch in found.patches),
        max(patch.max_prob for patch in found.patches) if found.patches else NULL,
        ", ".join(f"{period.begin:%Y-%m-%d}" for period in periods),
        iso(periods[0].begin),
        iso(periods[-1].end),
    ]
    return values, found.geometry()


def _replace(target: Path, write) -> None:
    """Write a file complete before it stands under its name."""
    unfinished = target.with_name(f".debris-{uuid.uuid4().hex[:12]}-{target.name}")
    try:
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        write(unfinished)
        os.replace(unfinished, target)
    except OSError as error:
        raise QgsProcessingException(f"{target} cannot be written ({error.strerror or error}).") from error
    finally:
        unfinished.unlink(missing_ok=True)
