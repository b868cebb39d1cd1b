"""What a report says: sentences and figures, the same for the printed sheet and the page."""

from dataclasses import dataclass
from typing import List, Optional, Tuple

from qgis.core import NULL, QgsFeature

from .areas import FLOATING, NOTHING_OBSERVED, OBSERVED, Areas, percent
from .fields import ACCEPTED, DECISION, NOTE, REJECTED, UNSURE, now
from .provenance import SOFTWARE, Provenance, accuracy_of
from .readme import credit, square_km
from .selection import Selection, has_place
from .severity import NOT_KNOWN, Level, severity
from .thresholds import explained

TITLE = "Suspected floating debris"
CAUTION = (
    "This report lists suspected floating debris: patches that a neural network takes for debris in a satellite image. "
    "Nobody has seen them at sea. Sargassum, driftwood, foam, ships, wakes and sun glint can look the same, and debris "
    "that is thin, small or under water is missed. Positions are those of the moment the image was taken; what floats "
    "has drifted since. Where nothing was observed nothing is said: that is not the same as clear water."
)
LONGEST_NOTE = 160


@dataclass(frozen=True)
class Entry:
    """One detection of the table."""

    feature: QgsFeature
    heading: str
    lines: Tuple[str, ...]


@dataclass(frozen=True)
class Content:
    """Everything that is written."""

    title: str
    subtitle: str
    figures: Tuple[Tuple[str, str], ...]
    """What and how much: the four boxes below the title."""
    observed: Tuple[str, ...]
    found: str
    entries: Tuple[Entry, ...]
    model: Tuple[Tuple[str, str], ...]
    caution: str
    credit: str


def content(
    selection: Selection,
    provenance: Provenance,
    areas: Optional[Areas],
    card: Optional[dict],
    levels: Tuple[Level, ...],
    rows: int,
    foreign: str = "",
) -> Content:
    """Put a report into words.

    Args:
        selection: the detections.
        provenance: of the run.
        areas: of the mask; None where it was not given.
        card: of the model; None where it is not at hand.
        levels: of severity.
        rows: of the table, at most.
        foreign: what tells that the mask that was given is of another run; an empty text where it is not.
    """
    largest = sorted(selection.features, key=lambda f: (-_value(f["area_m2"]), -_value(f["max_prob"])))[:rows]
    level = severity(len(selection.features), selection.area_m2, levels, areas is not None and areas.any_observed)
    when = str(provenance.period) if provenance.period else "date unknown"
    return Content(
        title=TITLE,
        subtitle=f"{provenance.product_id or provenance.scene or 'Unnamed scene'} · image taken {when}",
        figures=tuple(_figures(selection, areas, level)),
        observed=tuple(_observed(areas, foreign)),
        found=_found(selection, areas, level, levels),
        entries=tuple(_entry(number, feature, selection) for number, feature in enumerate(largest, 1)),
        model=tuple(_model(provenance, card)),
        caution=CAUTION,
        credit=f"{credit(provenance)} Made with {SOFTWARE} {provenance.plugin_version} on {now()}.",
    )


def _figures(selection: Selection, areas: Optional[Areas], level: str) -> List[Tuple[str, str]]:
    count, area = f"{len(selection.features):,}", square_km(selection.area_m2) if selection.features else "none"
    observed = NOT_KNOWN if areas is None else square_km(areas.observed)
    if areas is not None and not areas.any_observed:
        observed = "nothing"
        count, area = (count, area) if selection.features else (NOT_KNOWN, NOT_KNOWN)
    return [("Suspected detections", count), ("Their area", area), ("Observed", observed), ("Severity", level)]


def _observed(areas: Optional[Areas], foreign: str) -> List[str]:
    if foreign:
        return [
            f"What was observed is not known: the mask given to this report, {foreign}.",
            "It is neither shown nor counted here.",
        ]
    if areas is None:
        return ["What was observed is not known: no mask was given to this report."]
    seen = areas.share(*OBSERVED)
    what = f"{square_km(areas.observed)}, {percent(seen, 1)} of the scene" if areas.any_observed else "nothing"
    sentences = [f"Observed: {what}."]
    missed = [
        f"{reason} {square_km(areas.of(value))} ({percent(areas.share(value), 1)})"
        for value, reason in ((3, "land"), (4, "cloud or shadow"), (255, "no data"))
        if areas.pixels.get(value)
    ]
    if missed:
        sentences.append(f"Not observed: {'; '.join(missed)}. Nothing is known of what floats there.")
    else:
        sentences.append("Every pixel of the scene was observed.")
    if areas.pixels.get(FLOATING):
        sentences.append(
            f"Other floating matter (Sargassum, organic material, foam), not counted as debris: "
            f"{square_km(areas.of(FLOATING))}. It can hold debris that cannot be told apart."
        )
    return sentences


def _found(selection: Selection, areas, level, levels) -> str:
    count = len(selection.features)
    if not count and areas is not None and not areas.any_observed:
        return NOTHING_OBSERVED
    if not count:
        where = f"the {square_km(areas.observed)} that were observed" if areas else "what was observed"
        return f"No suspected debris was found in {where}."
    decided = [
        f"{selection.decisions[name]} {name}" for name in (ACCEPTED, UNSURE, REJECTED) if selection.decisions.get(name)
    ]
    unseen = selection.decisions.get("", 0)
    looked = f" People looked at {count - unseen} of them ({', '.join(decided)})." if decided else ""
    rest = " Nobody has looked at them yet." if unseen == count else f" {unseen} were not looked at." if unseen else ""
    steps = "; ".join(f"{step.name} from {step.hot_spots} detections or {step.area_m2:,.0f} m²" for step in levels)
    return f"{count:,} detection(s) of suspected debris.{looked}{rest} Severity {level}: {steps}."


def _entry(number: int, feature: QgsFeature, selection: Selection) -> Entry:
    names = selection.fields.names()
    place = _place(feature) if has_place(selection.crs) else "position unknown"
    lines = [
        place,
        f"Area {square_km(_known(feature, 'area_m2'))}, {int(_value(feature['n_pixels']))} pixel(s)",
        f"Probability: mean {_value(feature['mean_prob']):.2f}, highest {_value(feature['max_prob']):.2f}",
    ]
    indices = [
        f"{label} {_value(feature[name]):.3f}"
        for name, label in (("fdi", "FDI"), ("ndvi", "NDVI"))
        if name in names and feature[name] != NULL
    ]
    lines += [", ".join(indices)] if indices else []
    lines += _around(feature, names)
    decision = str(feature[DECISION] or "") if DECISION in names and feature[DECISION] != NULL else ""
    lines.append(f"Looked at: {decision}" if decision else "Not looked at yet")
    note = str(feature[NOTE] or "") if NOTE in names and feature[NOTE] != NULL else ""
    if note:
        lines.append(f"Note: {note if len(note) <= LONGEST_NOTE else note[: LONGEST_NOTE - 1] + '…'}")
    return Entry(feature, f"{number}. Suspected debris, detection {int(_value(feature['id']))}", tuple(lines))


def _around(feature, names) -> List[str]:
    """What is near that can be taken for debris: land, cloud, glint; only what the detection says."""
    near = [
        f"{label} {_value(feature[name]):,.0f} m away"
        for name, label in (("land_m", "land"), ("cloud_m", "cloud"))
        if name in names and feature[name] != NULL
    ]
    if "glint" in names and feature["glint"] == "yes":
        near.append("sun glint likely")
    return ["Near it: " + ", ".join(near)] if near else []


def _place(feature) -> str:
    lat, lon = float(feature["lat"]), float(feature["lon"])
    return f"{abs(lat):.5f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.5f}° {'E' if lon >= 0 else 'W'} (WGS 84)"


def _model(provenance: Provenance, card) -> List[Tuple[str, str]]:
    threshold, extent = provenance.threshold, provenance.extent_threshold
    rows = [
        ("Model", provenance.model or "unknown"),
        ("SHA-256", provenance.model_sha256 or "unknown"),
        *((name.capitalize(), text) for name, text in explained(threshold, extent)),
        ("Accuracy", accuracy_of(card, threshold, extent)),
    ]
    training = (card or {}).get("training") or {}
    if training.get("data"):
        rows.append(("Trained on", str(training["data"])))
    if (card or {}).get("level"):
        rows.append(("Made for", str(card["level"])))
    rows.append(("Reflectance", provenance.reflectance or "not stated"))
    if provenance.level:
        rows.append(("Level", provenance.level))
    if provenance.level_note:
        rows.append(("Note", provenance.level_note))
    return rows


def _known(feature, name) -> Optional[float]:
    return None if feature[name] == NULL else float(feature[name])


def _value(value) -> float:
    return 0.0 if value == NULL or value is None else float(value)
