"""What of a training is kept after each epoch, and how it goes on from there: it must be the same training."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.errors import ResumeError

if TYPE_CHECKING:
    from engine.training.session import Session

__all__ = ["Progress", "go_on", "state_of"]

SAME = (
    "source", "positive_classes", "tile_size", "seed", "batch_size", "learning_rate", "weight_decay", "dropout",
    "jitter", "epochs", "warmup_epochs",
)  # fmt: skip
"""Fields of a request that a training keeps when it goes on: with others the curve would be another one."""
PAINTED = ("texture_split", "texture_share")
"""Such fields that say nothing where nothing is painted on real images."""


@dataclass
class Progress:
    """What a training has come to so far."""

    epoch: int = 0
    best_f1: float = -1.0
    best_epoch: int = 0
    right: float = -1.0
    """Highest share of a handful of labelled places that came out right."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """The log's lines."""


def state_of(session: Session) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All it takes to go on from the end of this epoch: tensors, and what JSON can say."""
    tensors = {f"network.{name}": value for name, value in session.network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in session.average.network.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in session.best.items()}
    for number, values in session.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": torch.as_tensor(value) for name, value in values.items()}
    tensors |= {"mean": session.mean, "std": session.std}
    return tensors, {**asdict(session.progress), "identity": _identity(session), "steps": session.average.steps}


def _identity(session: Session) -> dict[str, Any]:
    """What must be the same for a training to go on."""
    request = session.request
    same = {name: getattr(request, name) for name in SAME}
    # By its name alone: a folder may be moved, and the fingerprint of the data knows its patches.
    same["textures"] = Path(request.textures).name if request.textures else None
    same |= {name: getattr(request, name) if request.textures else None for name in PAINTED}
    return {
        "network": asdict(session.average.network.config),
        "classes": [entry.name for entry in session.classes],
        "data": session.data.fingerprint,
        "start_from": session.start_digest,
        **{name: list(value) if isinstance(value, tuple) else value for name, value in same.items()},
    }


def go_on(session: Session, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Go on from a state.

    Raises:
        ResumeError: it is of another network, of other data, or of other settings; the message names them.
    """
    told = _differences(values.get("identity", {}), _identity(session))
    if told:
        raise ResumeError(
            f"The training to go on with is another one ({'; '.join(told)}). Set the same, or start anew."
        )

    def part(name: str) -> dict[str, Tensor]:
        return {key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{name}.")}

    session.network.load_state_dict(part("network"))
    session.average.network.load_state_dict(part("average"))
    session.average.steps = int(values["steps"])
    session.best = {name: value.to(session.device) for name, value in part("best").items()}
    # The epochs that are done saw the bands so; measured again elsewhere, the last digits may be others.
    session.mean, session.std = (tensors[name].to(session.device) for name in ("mean", "std"))
    state: dict[int, dict[str, Tensor]] = {}
    weights = list(session.network.parameters())
    for key, value in part("optimiser").items():
        number, name = key.split(".", 1)
        # The fused optimiser goes through memory, so moments must lie as their weights do (channels last).
        weight = weights[int(number)]
        laid = torch.empty_like(weight).copy_(value) if value.shape == weight.shape else value
        state.setdefault(int(number), {})[name] = laid
    session.optimiser.load_state_dict({**session.optimiser.state_dict(), "state": state})
    names = {entry.name for entry in dataclasses.fields(Progress)}
    session.progress = Progress(**{name: value for name, value in values.items() if name in names})


def _differences(has: dict[str, Any], wanted: dict[str, Any], of: str = "") -> list[str]:
    """Where the training in a state (`has`, as JSON gives it back) is not the one that is wanted, in words."""
    told = []
    for name, value in wanted.items():
        value = list(value) if isinstance(value, tuple) else value
        if isinstance(value, dict) and isinstance(has.get(name), dict):
            told += _differences(has[name], value, f"{name}, ")
        elif has.get(name) != value:
            told.append(f"{of}{name}: it has {has.get(name)}, asked for is {value}")
    return told
