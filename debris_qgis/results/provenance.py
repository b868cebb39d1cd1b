"""Where a result comes from: what its files say of scene, model and threshold."""

import json
import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Tuple

from qgis.core import QgsRasterLayer

from ..about import ROOT, version
from .period import Period, period_of
from .quiet import opened

SOFTWARE = "Marine Debris for QGIS"
CARD_KEY = "marine_debris_card"
PRACTICE = "practice_seed"
"""A tag of practice scenes, in lower case."""
LARGEST_HEADER = 50_000_000


@dataclass(frozen=True)
class Provenance:
    """What is known of one run; texts are empty where a file does not say."""

    scene: str = ""
    input: str = ""
    model: str = ""
    model_sha256: str = ""
    threshold: Optional[float] = None
    extent_threshold: Optional[float] = None
    """From which pixels belong to a group; None of tables and of runs of older engines, which do not say."""
    reflectance: str = ""
    level: str = ""
    level_note: str = ""
    """Whether the model was made for this level."""
    product_id: str = ""
    sensing_time: str = ""
    baseline: str = ""
    engine_version: str = ""
    plugin_version: str = ""
    period: Optional[Period] = None
    practice: bool = False
    """Whether the scene was made, not taken by a satellite."""

    @property
    def key(self):
        """What tells one run from another: the scene, the model, the threshold.

        Not the extent threshold, which tables of detections do not have: none would find its rasters again.
        """
        return (self.scene, self.model_sha256, None if self.threshold is None else round(self.threshold, 5))


def of_raster(path: str) -> Provenance:
    """What a mask or probability raster says of itself."""
    tags = tags_of(path)
    return _from_tags(tags) if tags.get("SOFTWARE") == SOFTWARE else Provenance()


def _from_tags(tags: Dict[str, str]) -> Provenance:
    lower = {name.lower(): value for name, value in tags.items()}
    source = tags.get("INPUT", "")
    return Provenance(
        scene=tags.get("SCENE", ""),
        input=source,
        model=tags.get("MODEL", ""),
        model_sha256=tags.get("MODEL_SHA256", ""),
        threshold=_number(tags.get("THRESHOLD")),
        extent_threshold=_number(tags.get("EXTENT_THRESHOLD")),
        reflectance=tags.get("REFLECTANCE", ""),
        level=lower.get("level", ""),
        level_note=lower.get("level_note", ""),
        product_id=lower.get("product_id", ""),
        sensing_time=lower.get("sensing_time", ""),
        baseline=lower.get("processing_baseline", ""),
        engine_version=tags.get("ENGINE_VERSION", ""),
        plugin_version=tags.get("PLUGIN_VERSION", "") or version(),
        # Results of older engines leave it to their scene's file to say.
        practice=bool(lower.get(PRACTICE)) or (os.path.isfile(source) and is_practice(source)),
        period=period_of(tags, [lower.get("product_id", ""), tags.get("SCENE", ""), *_names_of(source)]),
    )


def of_detections(source) -> Provenance:
    """What the first row of a layer, or of a Processing source, of detections says; an empty one says nothing."""
    names = source.fields().names()
    feature = next(source.getFeatures(), None)
    if feature is None or not {"scene", "model", "model_hash", "threshold"} <= set(names):
        return Provenance()

    def text(name):
        return str(feature[name]) if name in names and feature[name] not in (None, "") else ""

    # Shapefiles cut the name.
    sensing_time = text("sensing_time") or text("sens_time")
    return Provenance(
        scene=text("scene"),
        model=text("model"),
        model_sha256=text("model_hash"),
        threshold=_number(text("threshold")),
        level=text("level"),
        product_id=text("product_id"),
        sensing_time=sensing_time,
        baseline=text("baseline"),
        plugin_version=version(),
        period=period_of({"sensing_time": sensing_time}, [text("product_id"), text("scene")]),
    )


def key_among(source, own: Provenance, keys: Iterable[Tuple]) -> Optional[Tuple]:
    """Which of the runs that rasters are of a table of detections is of; None where it is of none of them.

    A run may have found nothing, and a person kept some patches below its threshold: then the rows name the threshold
    that those were outlined at, and none of them reaches the run's own.

    Args:
        source: the table, a layer or a Processing source.
        own: what it says of itself.
        keys: of the rasters.
    """
    same = [key for key in keys if own.scene and key[:2] == own.key[:2]]
    if own.key in same or own.threshold is None:
        return own.key if own.key in same else None
    higher = sorted(key for key in same if key[2] is not None and key[2] > own.key[2])
    highest = _number(source.maximumValue(source.fields().indexOf("max_prob"))) if higher else None
    return next((key for key in higher if highest is not None and highest < key[2]), None)


def difference(other: Provenance, own: Provenance) -> str:
    """What tells a raster of another run from the detections, in words: only what differs."""

    def number(value):
        return "unknown" if value is None else f"{value:g}"

    said = []
    if other.scene != own.scene:
        said.append(f"its scene is {other.scene}, theirs {own.scene}")
    if other.model_sha256 != own.model_sha256:
        names = (other.model or "unknown", own.model or "unknown")
        same = names[0] == names[1]
        said.append(f"its model is another named {names[0]}" if same else f"its model is {names[0]}, theirs {names[1]}")
    if other.key[2] != own.key[2]:
        said.append(f"its threshold is {number(other.threshold)}, theirs {number(own.threshold)}")
    return "; ".join(said)


def tags_of(path: str) -> Dict[str, str]:
    """The tags of a raster; none where it cannot be opened."""
    dataset = opened(path)
    return {} if dataset is None else dict(dataset.GetMetadata() or {})


def is_practice(path: str) -> bool:
    """Whether a raster is a practice scene, or a result from one, by its tags."""
    return any(name.lower() == PRACTICE for name in tags_of(path))


def is_result(layer: QgsRasterLayer) -> bool:
    """Whether a raster layer is a result of this plugin."""
    return layer.providerType() == "gdal" and tags_of(layer.source()).get("SOFTWARE") == SOFTWARE


def is_of_detect(path: str) -> bool:
    """Whether a raster is a mask or a probability; scenes that were prepared name the software too, but no model."""
    tags = tags_of(path)
    return tags.get("SOFTWARE") == SOFTWARE and "MODEL_SHA256" in tags


def _names_of(source: str) -> List[str]:
    """Names that may hold a date: the source's own, then those of the files that it is stacked from."""
    names = [os.path.basename(source.rstrip("/"))]
    if os.path.exists(source):
        dataset = opened(source)
        if dataset is not None:
            tags = dict(dataset.GetMetadata() or {})
            found = period_of(tags, [])
            names += [found.begin.strftime("%Y%m%dT%H%M%S" if found.exact else "%Y-%m-%d")] if found else []
            names += [os.path.basename(name) for name in (dataset.GetFileList() or [])[:3]]
    return names


def _number(text) -> Optional[float]:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def model_of(model_sha256: str) -> Optional[Path]:
    """Which of the plugin's own models has this checksum; None where none has."""
    for candidate in sorted((ROOT / "engine" / "models").glob("*.safetensors")):
        if _digest(candidate) == model_sha256:
            return candidate
    return None


def card_of(model_sha256: str, path: str = "") -> Optional[dict]:
    """The card of the model that a result was made with: of `path` where named, else of the plugin's own models.

    Returns:
        The card as JSON has it, or None where the file is not at hand or is not that model.
    """
    candidates = [Path(path)] if path else sorted((ROOT / "engine" / "models").glob("*.safetensors"))
    for candidate in candidates:
        if candidate.is_file() and (not model_sha256 or _digest(candidate) == model_sha256):
            return _card(candidate)
    return None


@lru_cache(maxsize=16)
def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _card(path: Path) -> Optional[dict]:
    """The card in a safetensors header: eight bytes of its length, then JSON."""
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > LARGEST_HEADER:
                return None
            card = json.loads(stream.read(length))["__metadata__"][CARD_KEY]
        return json.loads(card)
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None


def accuracy_of(card: Optional[dict], threshold: Optional[float] = None, extent: Optional[float] = None) -> str:
    """What a card says of the model's accuracy, in a few sentences that name the data.

    Args:
        card: of the model; None where it is not at hand.
        threshold: that the run was made with; where it is another than the one that was measured, that is said.
        extent: the run's extent threshold, where it is known; the same holds.
    """
    if not card:
        return "The model's card is not at hand, so its accuracy is not stated here."
    metrics = card.get("metrics") or {}
    sentences = []
    for name, entry in metrics.items():
        strict = entry.get("strict") if isinstance(entry, dict) else None
        if strict and "f1" in strict:
            low, high = (strict.get("f1_interval") or (None, None))[:2]
            interval = f" (95 % interval {_figure(low)} to {_figure(high)})" if low is not None else ""
            sentences.append(
                f"On {entry.get('data', name)}: precision {_figure(strict['precision'])}, "
                f"recall {_figure(strict['recall'])}, F1 {_figure(strict['f1'])}{interval}."
            )
    debris = metrics.get("debris") or {}
    if not sentences and "f1" in debris:
        parts = [f"{name} {_figure(debris[name])}" for name in ("precision", "recall") if name in debris]
        figures = ", ".join([*parts, f"F1 {_figure(debris['f1'])}"])
        # What comes after a semicolon explains names of figures.
        data = str(metrics.get("data", "its validation data")).split(";")[0]
        sentences.append(f"On {data}: {figures}.")
        if "recall_real" in debris:
            sentences.append(_found_of_labelled(debris))
    if sentences:
        sentences += _unlike_measured(card, threshold, extent)
    return " ".join(sentences) or "The model's card states no accuracy."


def _unlike_measured(card: dict, threshold: Optional[float], extent: Optional[float]) -> List[str]:
    """That a run was made with other thresholds than those that were measured, where that is known."""
    measured = card.get("threshold")
    if None in (threshold, measured):
        return []
    if abs(threshold - measured) <= 1e-4:
        # At its own threshold a model is measured pixel by pixel.
        if extent is None or abs(extent - measured) <= 1e-4:
            return []
        return [f"That was measured with groups from {measured:g} on, not from {extent:g}, as was used here."]
    return [f"That was measured at the threshold {measured:g}; it does not hold at {threshold:g}, which was used here."]


def _found_of_labelled(debris: dict) -> str:
    """How much of what people labelled was found: in pixels where they were counted, since few are soon 100 %."""
    recall, pixels = debris["recall_real"], debris.get("pixels_real")
    share = f"{_rounded(recall):.0%}"
    if pixels:
        found = min(round(recall * pixels), pixels if recall >= 1 else pixels - 1)
        share = f"{found:,} of {pixels:,} pixels ({share})"
    return f"Of the debris labelled in these images it found {share}."


def _figure(value: float) -> str:
    return f"{_rounded(value):.2f}"


def _rounded(share: float) -> float:
    """To hundredths; nothing but all of it is 1."""
    return round(share, 2) if share >= 1 else min(round(share, 2), 0.99)
