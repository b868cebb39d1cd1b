"""The table of detections in memory, as columns, and what people decide of it in its file."""

from typing import Dict, List, Optional

import numpy as np
from qgis.core import NULL, QgsFeature, QgsFeatureRequest, QgsGeometry, QgsSpatialIndex, QgsVectorLayer

from .fields import BEGIN, DECISION, DECISIONS, END, NOTE, FieldsError, decide, ensure_fields, write_note
from .period import iso
from .probability_index import Candidate
from .provenance import Provenance
from .runs import unfiltered

NUMBERS = ("id", "area_m2", "n_pixels", "mean_prob", "max_prob")
UNDECIDED = ""
UNKNOWN = Provenance()
RANKINGS = {
    "Probability": ("max_prob", "area_m2"),
    "Area": ("area_m2", "max_prob"),
    "Number": ("-id",),
}
"""What to rank by, from the most important on; the largest first unless marked with a minus sign."""


class DetectionStore:
    """Every detection of one table, whatever filter its layer has; rows are numbered from 0, candidates come last."""

    def __init__(self, layer: QgsVectorLayer, provenance: Provenance = UNKNOWN) -> None:
        """`provenance` is what is known of the run; rows that are added to the file say it too."""
        self.layer = layer
        self._table = unfiltered(layer)
        self._provenance = provenance
        self._candidates: List[Candidate] = []
        self._outlines: Optional[QgsSpatialIndex] = None
        self._load()

    def _load(self) -> None:
        names = self._table.fields().names()
        texts = [name for name in (DECISION, NOTE) if name in names]
        request = QgsFeatureRequest().setSubsetOfAttributes([*NUMBERS, *texts], self._table.fields())
        request.setFlags(QgsFeatureRequest.Flag.NoGeometry)
        at = {name: self._table.fields().indexOf(name) for name in (*NUMBERS, *texts)}
        fids, numbers, decisions, notes = [], [], [], {}
        for feature in self._table.getFeatures(request):
            values = feature.attributes()
            fids.append(feature.id())
            numbers.append([_number(values[at[name]]) for name in NUMBERS])
            decision = values[at[DECISION]] if DECISION in at else NULL
            decisions.append(str(decision) if decision in DECISIONS else UNDECIDED)
            note = values[at[NOTE]] if NOTE in at else NULL
            if note != NULL and note:
                notes[feature.id()] = str(note)
        self.fids = np.array(fids, dtype=np.int64)
        table = np.array(numbers, dtype=np.float64).reshape(-1, len(NUMBERS))
        self.columns: Dict[str, np.ndarray] = {name: table[:, i] for i, name in enumerate(NUMBERS)}
        self.decisions = np.array(decisions, dtype="U10")
        self._notes = notes

    def __len__(self) -> int:
        return len(self.fids) + len(self._candidates)

    @property
    def stored(self) -> int:
        """How many are in the file; rows from here on are candidates."""
        return len(self.fids)

    def set_candidates(self, candidates: List[Candidate]) -> None:
        """Replace the rows that are in no file yet."""
        self._candidates = list(candidates)

    def has(self, candidate: Candidate) -> bool:
        """Whether a candidate lies in a row of the file: it was decided on, and so kept, before, or is a part of one.

        Parts of what the run found come up where the faint pixels that join them were too many to be looked at.
        """
        if self._outlines is None:
            request = QgsFeatureRequest().setNoAttributes()
            keep = QgsSpatialIndex.Flag.FlagStoreFeatureGeometries
            self._outlines = QgsSpatialIndex(self._table.getFeatures(request), None, keep)
        point = candidate.geometry.pointOnSurface()
        near = self._outlines.intersects(point.boundingBox())
        return any(self._outlines.geometry(fid).intersects(point) for fid in near)

    def value(self, row: int, name: str) -> float:
        """One number of one row; NaN where it is not known."""
        if row < self.stored:
            return float(self.columns[name][row])
        return float(getattr(self._candidates[row - self.stored], name))

    def column(self, name: str) -> np.ndarray:
        """One number of every row."""
        new = [getattr(candidate, name) for candidate in self._candidates]
        return np.concatenate([self.columns[name], np.array(new, dtype=np.float64)])

    def decision(self, row: int) -> str:
        """What was decided of a row, or an empty text."""
        return str(self.decisions[row]) if row < self.stored else UNDECIDED

    def all_decisions(self) -> np.ndarray:
        """What was decided of every row."""
        return np.concatenate([self.decisions, np.full(len(self._candidates), UNDECIDED, dtype="U10")])

    def note(self, row: int) -> str:
        """The note on a row, or an empty text."""
        return self._notes.get(int(self.fids[row]), "") if row < self.stored else ""

    def geometry(self, row: int) -> QgsGeometry:
        """The outline of a row."""
        if row >= self.stored:
            return self._candidates[row - self.stored].geometry
        request = QgsFeatureRequest(int(self.fids[row])).setNoAttributes()
        feature = next(self._table.getFeatures(request), None)
        return QgsGeometry() if feature is None else feature.geometry()

    def order(self, ranking: str, lowest: float, decision: Optional[str] = None) -> np.ndarray:
        """The rows to show, ranked.

        Args:
            ranking: one of RANKINGS.
            lowest: leave out rows whose highest probability is lower.
            decision: only rows with this decision, where given.
        """
        keys = []
        for name in reversed(RANKINGS[ranking]):
            column = self.column(name.lstrip("-"))
            keys.append(np.nan_to_num(column if name.startswith("-") else -column))
        rows = np.lexsort(keys) if len(self) else np.zeros(0, dtype=np.int64)
        # Probabilities are float32 in rasters: what equals the limit there must not fall below it here.
        shown = self.column("max_prob") >= lowest - 1e-6
        if decision is not None:
            shown &= self.all_decisions() == decision
        return rows[shown[rows]]

    def decide(self, row: int, decision: Optional[str]) -> int:
        """Write a decision into the file; a candidate becomes a row of it. Returns the row's number from now on.

        Raises:
            FieldsError: the file does not take it.
        """
        self._make_ready()
        if row >= self.stored:
            row = self._append(row - self.stored)
        decide(self._table, int(self.fids[row]), decision)
        self.decisions[row] = decision or UNDECIDED
        return row

    def write_note(self, row: int, text: str) -> int:
        """Write a note into the file; a candidate becomes a row of it. Returns the row's number from now on.

        Raises:
            FieldsError: the file does not take it.
        """
        self._make_ready()
        if row >= self.stored:
            row = self._append(row - self.stored)
        write_note(self._table, int(self.fids[row]), text)
        self._notes[int(self.fids[row])] = text
        return row

    def _make_ready(self) -> None:
        """Add the fields on the first decision: looking alone changes no file."""
        names = self._table.fields().names()
        if DECISION not in names or NOTE not in names:
            ensure_fields(self._table, self._provenance.period)
            if self._table is not self.layer:
                self.layer.reload()
            self.layer.updateFields()

    def _append(self, number: int) -> int:
        """Write a candidate into the file as a detection of its own."""
        candidate = self._candidates.pop(number)
        feature = QgsFeature(self._table.fields())
        for name, value in self._of_run().items():
            feature[name] = value
        candidate.id = int(np.nanmax(self.columns["id"])) + 1 if self.stored else 1
        for name in (*NUMBERS, "lon", "lat", "threshold"):
            value = getattr(candidate, name)
            if name in self._table.fields().names():
                feature[name] = NULL if value is None or np.isnan(value) else _as(value, name)
        feature.setGeometry(candidate.geometry)
        done, added = self._table.dataProvider().addFeatures([feature])
        if not done:
            raise FieldsError(f"The detection cannot be added to {self.layer.name()}: is its file read-only?")
        self.fids = np.append(self.fids, added[0].id())
        if self._outlines is not None:
            self._outlines.addFeature(added[0])
        for name in NUMBERS:
            self.columns[name] = np.append(self.columns[name], float(getattr(candidate, name)))
        self.decisions = np.append(self.decisions, UNDECIDED)
        return self.stored - 1

    def _of_run(self) -> Dict[str, str]:
        """What every row says of its run, as far as the table has fields for it; the other rows say what else."""
        known = self._provenance
        period = known.period
        values = {
            "scene": known.scene, "model": known.model, "model_hash": known.model_sha256, "level": known.level,
            "sensing_time": known.sensing_time, "sens_time": known.sensing_time, "product_id": known.product_id,
            "baseline": known.baseline, BEGIN: iso(period.begin) if period else "",
            END: iso(period.end) if period else "",
        }  # fmt: skip
        other = next(self._table.getFeatures(QgsFeatureRequest().setLimit(1)), None)
        names = self._table.fields().names()
        return {
            name: value or (other[name] if other is not None else NULL)
            for name, value in values.items()
            if name in names
        }


def _number(value) -> float:
    return np.nan if value == NULL or value is None else float(value)


def _as(value, name):
    return int(value) if name in ("id", "n_pixels") else float(value)
