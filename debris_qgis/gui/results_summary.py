"""What the results panel says of a run, and the dialog that changes the levels of severity."""

from html import escape
from typing import Optional, Tuple

import numpy as np
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QDoubleSpinBox, QGridLayout, QLabel, QSpinBox, QVBoxLayout

from ..results.areas import FLOATING, NOTHING_OBSERVED, OBSERVED, Areas, percent
from ..results.fields import REJECTED
from ..results.probability_index import ProbabilityIndex
from ..results.readme import square_km
from ..results.runs import Run, area_of, unfiltered
from ..results.severity import DEFAULT, NOT_KNOWN, Level, severity, store_levels, stored_levels
from ..results.store import DetectionStore

SEVERITY_COLOURS = {
    "critical": "#b0232a",
    "high": "#d55e00",
    "moderate": "#b8860b",
    "low": "#0072b2",
    "none": "#555555",
    NOT_KNOWN: "#555555",
}


def tr(text: str) -> str:
    """Translate a text of the user interface."""
    return QCoreApplication.translate("MarineDebris", text)


def title_of(run: Run) -> str:
    """A run in the list of runs."""
    count, area = unfiltered(run.detections).featureCount(), area_of(run)
    if not count:
        # Its mask is not read yet: whether anything was looked at is for the summary to say.
        return tr("{}: {} detection(s)").format(run.name, 0)
    level = severity(count, area, stored_levels())
    return tr("{}: {} detection(s), {:,.0f} m², {}").format(run.name, f"{count:,}", area, tr(level))


def shown_of(
    run: Run, store: DetectionStore, index: Optional[ProbabilityIndex], shown_from: float
) -> Tuple[int, Optional[float]]:
    """How many detections are shown and not rejected, and their area in m²; None where that is not known.

    Args:
        run: which run.
        store: its table.
        index: of its probability, where it was read.
        shown_from: the probability from which they are shown.
    """
    shown = store.column("max_prob") >= shown_from - 1e-6
    shown &= store.all_decisions() != REJECTED
    rejected = (store.decisions == REJECTED).any()
    # The index knows the exact ground of the pixels at any threshold; whole detections are all there is without it,
    # once some of them were rejected, or where they reach farther than such pixels do: in linked runs, and from the
    # run's own threshold on, above which what is surer is no smaller.
    pixels = shown_from < run.threshold - 1e-9 and not run.linked
    area = index.area(shown_from) if index and pixels and not rejected else None
    if area is None and run.placed:
        area = float(np.nansum(store.column("area_m2")[shown]))
    return int(shown.sum()), area


def summary(
    run: Run, areas: Optional[Areas], count: int, area_m2: Optional[float], shown_from: float, decided: int
) -> str:
    """The summary as rich text.

    Args:
        run: which run.
        areas: of its mask; None while they are read, or where there is no mask.
        count: detections that are shown and not rejected.
        area_m2: their area; None where it is unknown.
        shown_from: the probability from which they are shown.
        decided: how many people have decided on.
    """
    seen = areas is not None and areas.any_observed
    level = severity(count, area_m2, stored_levels(), seen)
    colour = SEVERITY_COLOURS[level]
    lines = [
        f"<b style='color:{colour}'>{escape(tr('Severity'))}: {escape(tr(level))}</b>",
        tr("{} suspected, {} at probability {:.2f} and above; {} decided").format(
            f"{count:,}", square_km(area_m2), shown_from, f"{decided:,}"
        ),
    ]
    if areas is None:
        lines.append(tr("What was observed is not known: the mask is not in the project.") if run.mask is None else "…")
    else:
        if seen:
            lines.append(tr("Observed: {} ({})").format(square_km(areas.observed), percent(areas.share(*OBSERVED))))
        else:
            lines.append(tr(NOTHING_OBSERVED))
        missed = [f"{tr(reason)} {square_km(area)}" for reason, area in areas.not_observed.items()]
        lines.append(tr("Not observed: {}").format("; ".join(missed) if missed else tr("nothing")))
        if areas.pixels.get(FLOATING):
            lines.append(tr("Other floating matter: {}").format(square_km(areas.of(FLOATING))))
    if run.linked:
        lines.append(_reach(run.extent, shown_from))
    when = run.provenance.period
    lines.append(tr("Image taken: {}").format(when if when else tr("unknown")))
    return "<br>".join(lines)


def _reach(extent: float, shown_from: float) -> str:
    """How far outlines reach: those that the run found, and those of patches that are shown below its threshold."""
    if shown_from < extent - 1e-9:
        return tr("Outlines take in pixels from probability {:.2f} on, the dotted ones from {:.2f}").format(
            extent, shown_from
        )
    return tr("Outlines take in pixels from probability {:.2f} on").format(extent)


class SeverityDialog(QDialog):
    """Detections and area from which each level counts."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Levels of severity"))
        grid = QGridLayout()
        for column, text in enumerate((tr("Level"), tr("Detections from"), tr("or area from (m²)"))):
            grid.addWidget(QLabel(text), 0, column)
        self.rows = []
        for number, level in enumerate(stored_levels(), 1):
            spots, area = QSpinBox(), QDoubleSpinBox()
            spots.setRange(1, 1_000_000)
            area.setRange(0, 1e12)
            area.setDecimals(0)
            spots.setValue(level.hot_spots)
            area.setValue(level.area_m2)
            grid.addWidget(QLabel(tr(level.name)), number, 0)
            grid.addWidget(spots, number, 1)
            grid.addWidget(area, number, 2)
            self.rows.append((level.name, spots, area))
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok
            | QDialogButtonBox.StandardButton.Cancel
            | QDialogButtonBox.StandardButton.RestoreDefaults
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        buttons.button(QDialogButtonBox.StandardButton.RestoreDefaults).clicked.connect(self.restore)
        box = QVBoxLayout(self)
        box.addLayout(grid)
        box.addWidget(buttons)

    def restore(self) -> None:
        """Put the original system's levels back into the dialog."""
        for (_, spots, area), level in zip(self.rows, DEFAULT):
            spots.setValue(level.hot_spots)
            area.setValue(level.area_m2)

    def accept(self) -> None:
        """Keep the levels."""
        store_levels(tuple(Level(name, spots.value(), area.value()) for name, spots, area in self.rows))
        super().accept()
