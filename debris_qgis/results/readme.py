"""The README of an export: what the files are, where they come from, what they do and do not say."""

from hashlib import sha256
from pathlib import Path
from textwrap import wrap
from typing import Dict, Iterable, List, Mapping, Optional, Sequence

from .areas import FLOATING, NOTHING_OBSERVED, Areas
from .fields import DECISIONS, now
from .provenance import SOFTWARE, Provenance, accuracy_of
from .selection import Selection
from .thresholds import explained

CREDIT = "Contains modified Copernicus Sentinel data{}."
NO_CREDIT = "Practice scene, no satellite image."
CAUTION = (
    "What is listed is SUSPECTED floating debris: found by a model in an image, not seen at sea. Other floating "
    "matter, foam, ships and glint can look the same. Look before you act. Where nothing was observed, nothing is "
    "said: that is not the same as clear water."
)
FIELDS = {
    "id": "number of the detection in its scene",
    "area_m2": "area on the ground, m²",
    "n_pixels": "number of pixels",
    "mean_prob, max_prob": "mean and highest probability over the pixels, 0 to 1, as the model gives it",
    "lon, lat": "position of the centre, WGS 84, degrees",
    "fdi, ndvi": "mean Floating Debris Index and Normalised Difference Vegetation Index",
    "scene, model, model_hash, threshold": "which image, which model (SHA-256), which threshold max_prob had to reach",
    "level, sensing_time, product_id, baseline": "of the product, where it says so; the time is UTC",
    "land_m, cloud_m": "distance to land and to cloud, m; none where there is neither in the scene",
    "glint, glint_b11": "whether sun glint is likely, and the reflectance in B11 that says so",
    "second": "the likeliest class besides debris",
    "time_begin, time_end": "when the image was taken, UTC; a whole day where only the date is known",
    "decision, note, decided_at": f"what a person decided ({', '.join(DECISIONS)}, or nothing yet), why, when (UTC)",
}


def credit(provenance: Provenance) -> str:
    """The sentence that users of Sentinel data must show, with the year where it is known; none for practice scenes."""
    if provenance.practice:
        return NO_CREDIT
    return CREDIT.format(f" {provenance.period.begin.year}" if provenance.period else "")


def square_km(value: Optional[float]) -> str:
    """An area in words: m² below a tenth of a km²."""
    if value is None:
        return "unknown (the raster has no CRS)"
    return f"{value:,.0f} m²" if value < 100_000 else f"{value / 1e6:,.2f} km²"


def readme(
    selection: Selection,
    provenance: Provenance,
    areas: Optional[Areas],
    card: Optional[dict],
    files: Iterable[Path],
    said: Iterable[str],
    strange: Mapping[str, str],
) -> str:
    """The text.

    Args:
        selection: the detections.
        provenance: of their run.
        areas: of its mask; None where there is none.
        card: of the model; None where it is not at hand.
        files: what was written.
        said: what the formats could not hold.
        strange: for each raster of another run, by file name, what tells it from the detections.
    """
    lines = ["Suspected floating marine debris", "=" * 32, "", *wrap(CAUTION, 100), ""]
    lines += _origin(provenance, card)
    lines += ["", "Detections", "----------"]
    lines += [f"- in these files: {len(selection.features)}; left out as asked: {selection.left_out}"]
    if selection.features or areas is None or areas.any_observed:
        lines += [f"- their area: {square_km(selection.area_m2)}"]
    else:
        lines += [f"- {NOTHING_OBSERVED}"]
    lines += [
        f"- {decision or 'not looked at yet'}: {count}" for decision, count in sorted(selection.decisions.items())
    ]
    lines += ["", "What was observed", "-----------------", *_observed(areas)]
    if strange:
        lines += ["", "Of another run", "--------------"]
        lines += [f"- {name} is of another run than the detections: {text}." for name, text in strange.items()]
        lines += ["- Areas that were observed in it are not those of these detections, and not given here."]
    lines += ["", "Fields", "------", *_fields(selection.fields.names())]
    lines += ["- texts are UTF-8; all times are UTC"]
    lines += ["", "Files (SHA-256)", "---------------"] + [
        f"{digest}  {name}" for name, digest in _digests(files).items()
    ]
    notes = list(said)
    if notes:
        lines += ["", "Limits of the formats", "---------------------"] + [f"- {note}" for note in notes]
    return "\n".join(lines) + "\n"


def _origin(provenance: Provenance, card) -> List[str]:
    threshold, extent = provenance.threshold, provenance.extent_threshold
    known = {
        "scene": provenance.scene or "unknown",
        "product": provenance.product_id,
        "taken": str(provenance.period) if provenance.period else "unknown",
        "level": provenance.level,
        "level note": provenance.level_note,
        "reflectance": provenance.reflectance,
        "model": f"{provenance.model or 'unknown'} (SHA-256 {provenance.model_sha256 or 'unknown'})",
        **dict(explained(threshold, extent)),
        "accuracy": accuracy_of(card, threshold, extent),
        "software": f"{SOFTWARE} {provenance.plugin_version}, engine {provenance.engine_version or 'unknown'}",
        "exported": now(),
        "credit": credit(provenance),
    }
    return ["Where it comes from", "-------------------"] + [
        f"- {name}: {text}" for name, text in known.items() if text
    ]


def _observed(areas: Optional[Areas]) -> List[str]:
    if areas is None:
        return ["- not known: the mask of these detections was not given"]
    lines = [f"- observed: {square_km(areas.observed) if areas.any_observed else 'nothing'}"]
    if areas.pixels.get(FLOATING):
        lines.append(f"- of that other floating matter, not counted as debris: {square_km(areas.of(FLOATING))}")
    return lines + [f"- not observed, {reason}: {square_km(area)}" for reason, area in areas.not_observed.items()]


def _fields(there: Sequence[str]) -> List[str]:
    """Of the fields that are known, those that these files have: without decisions, say, where nobody has decided."""
    found = {", ".join(name for name in names.split(", ") if name in there): text for names, text in FIELDS.items()}
    return [f"- {names}: {text}" for names, text in found.items() if names]


def _digests(files: Iterable[Path]) -> Dict[str, str]:
    found = {}
    for path in sorted(files):
        digest = sha256()
        with path.open("rb") as stream:
            for block in iter(lambda stream=stream: stream.read(1 << 20), b""):
                digest.update(block)
        found[path.name] = digest.hexdigest()
    return found
