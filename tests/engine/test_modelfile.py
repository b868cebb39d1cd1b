"""Model files come back as they were, and anything else is refused with a message that says why."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from toy_model import toy_card, toy_network

from engine.errors import ModelError
from engine.jobs import StatusRequest
from engine.modelfile import BUNDLED_MODEL, CARD_KEY, ModelCard, ModelClass, load, read_card, save
from engine.network import NetworkConfig, SEUNet
from engine.status import status


def test_a_model_comes_back_as_it_was(toy_model: Path) -> None:
    network, card, digest = load(toy_model)
    assert card.bands == toy_card().bands
    assert card.classes == toy_card().classes
    assert card.network["width"] == 4
    assert len(digest) == 64
    x = torch.rand(1, 11, 32, 32)
    torch.testing.assert_close(network(x), _known(x), rtol=1e-4, atol=0.02)  # logits; BatchNorm's eps comes back


def _known(x: torch.Tensor) -> torch.Tensor:
    debris = 200 * (x[:, 7] - 0.1)
    return torch.stack([torch.zeros_like(debris), debris], dim=1)


def test_the_card_alone_is_read_without_the_weights(toy_model: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(toy_model.read_bytes()[:-1000])
    assert read_card(cut).name == "toy"
    with pytest.raises(ModelError, match="damaged or cut short"):
        load(cut)


def test_a_pickle_under_a_models_name_is_not_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelError, match="not a model file"):
        load(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff" * 64, (4).to_bytes(8, "little") + b"nope" + b"0" * 40])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a model file"):
        load(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model file"):
        load(tmp_path / "none.safetensors")


def test_weights_without_a_card(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match="no marine-debris card"):
        load(path)


TOY = {"bands": 11, "classes": 2, "width": 4}


def _with_card(path: Path, net: SEUNet, /, **changes: object) -> Path:
    values = {**dataclasses.asdict(toy_card()), "network": dataclasses.asdict(net.config), **changes}
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path, metadata={CARD_KEY: json.dumps(values)})
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 99}, "format version 99, this engine reads 1"),
        ({"network": {"bands": 11, "classes": 2, "width": 8}}, "the card's network"),
        ({"network": {"bands": 4, "classes": 2, "width": 4}}, "4 bands and 2 classes, the card names 11 and 2"),
        ({"network": {"width": 10**9}}, "cannot build"),
        ({"network": {"layers": 5}}, "cannot build"),
        ({"bands": ["B1", "X9"], "mean": [0, 0], "std": [1, 1]}, "X9"),
        ({"mean": [0.0]}, "must be as many"),
        ({"std": [0.0] * 11}, "not usable"),
        ({"threshold": 7}, "not in 0-1"),
        (
            {"classes": [{"name": "Water", "role": "clear"}, {"name": "Ship", "role": "clear"}]},
            "no class with the role debris",
        ),
        ({"classes": [{"name": "Water", "role": "wet"}]}, "the role 'wet'"),
        ({"surprise": 1}, "cannot be read"),
        ({"threshold": 10**400}, "cannot be read"),
        ({"threshold": True}, "is no number"),
        ({"metrics": {"debris": {"f1": float("nan")}}}, "NaN is no number"),
        ({"metrics": [1]}, "metrics is no object"),
        ({"name": 3}, "name is no text"),
        ({"network": {**TOY, "dropout": 5}}, "dropout is 5: it must be a number between 0 and 1"),
        ({"network": {**TOY, "dropout": "a"}}, "dropout is 'a'"),
        ({"network": {**TOY, "width": 4.0}}, "width is 4.0: it must be a whole number"),
        ({"network": {**TOY, "stem": 2.0}}, "stem is 2.0"),
        ({"network": {**TOY, "stretch": float("inf")}}, "Infinity is no number"),
        ({"network": {**TOY, "contrast_windows": [5.0]}}, "contrast_windows"),
        ({"network": {**TOY, "contrast_windows": [3] * 400_000}}, "400000 numbers: use at most 4"),
    ],
)
def test_cards_that_do_not_fit(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(_with_card(tmp_path / "m.safetensors", toy_network(), **changes))


def _file(path: Path, header: str, content: bytes = b"") -> Path:
    text = header.encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    return path


DEEP = "[" * 100_000 + "]" * 100_000
WIDE = {**dataclasses.asdict(toy_card()), "network": {**TOY, "width": 128}}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ('{"__metadata__": null}', "not a model file"),
        ('{"__metadata__": []}', "not a model file"),
        (DEEP, "nested too deeply"),
        (json.dumps({"__metadata__": {CARD_KEY: DEEP}}), "nested too deeply"),
        (json.dumps({"__metadata__": {CARD_KEY: "[" * 90 + "]" * 90}}), "nested too deeply"),
        (json.dumps({"__metadata__": {CARD_KEY: 5}}), "cannot be read"),
        (json.dumps({"__metadata__": {CARD_KEY: "[]"}}), "cannot be read"),
        (json.dumps({"__metadata__": {CARD_KEY: json.dumps(WIDE)}}), "weights of another network"),
    ],
    ids=["null", "list", "deep-header", "deep-card", "rather-deep-card", "number", "empty", "no-weights"],
)
def test_headers_that_somebody_made_up(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(_file(tmp_path / "m.safetensors", header))


def test_nothing_is_built_before_the_weights_are_known_to_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a kilobyte may describe a network of half a gigabyte."""
    built = []
    real = SEUNet.__init__

    def watched(self: SEUNet, config: NetworkConfig) -> None:
        real(self, config)
        built.append({parameter.device.type for parameter in self.parameters()})

    network = toy_network()
    monkeypatch.setattr(SEUNet, "__init__", watched)
    with pytest.raises(ModelError, match="the card's network"):
        load(_with_card(tmp_path / "m.safetensors", network, network={**TOY, "width": 128}))
    assert built == [{"meta"}]


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn, torch.float16])
def test_weights_of_other_types_than_this_engine_writes(tmp_path: Path, dtype: torch.dtype) -> None:
    network = toy_network()
    values = {**dataclasses.asdict(toy_card()), "network": dataclasses.asdict(network.config)}
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    state["head.3.bias"] = state["head.3.bias"].to(dtype)
    save_file(state, tmp_path / "m.safetensors", metadata={CARD_KEY: json.dumps(values)})
    with pytest.raises(ModelError, match=r"head.3.bias holds numbers of the type .*F32 is expected"):
        load(tmp_path / "m.safetensors")


def test_a_figure_that_is_no_number_is_saved_as_null(tmp_path: Path) -> None:
    card = dataclasses.replace(toy_card(), training={"curves": [{"validation_loss": float("nan")}]})
    save(tmp_path / "m.safetensors", toy_network(), card)
    assert read_card(tmp_path / "m.safetensors").training == {"curves": [{"validation_loss": None}]}


def test_status_lists_files_that_are_no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _file(tmp_path / "a.safetensors", '{"__metadata__": null}')
    _file(tmp_path / "b.safetensors", DEEP)
    _with_card(tmp_path / "c.safetensors", toy_network(), metrics={"f1": float("nan")})
    result = status(StatusRequest(model_folder=str(tmp_path)))
    assert [sum(f"/{name}.safetensors" in problem for problem in result.problems) for name in "abc"] == [1, 1, 1]
    assert [model["path"] for model in result.models] == [str(BUNDLED_MODEL)]
    monkeypatch.setattr("engine.status.read_card", lambda path: 1 / 0)
    assert any(
        "b.safetensors cannot be read as a model" in p
        for p in status(StatusRequest(model_folder=str(tmp_path))).problems
    )


def test_the_bundled_model_loads() -> None:
    network, card, _ = load(BUNDLED_MODEL)
    assert network.config.classes == len(card.classes)


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    network = toy_network()
    with torch.no_grad():
        network.head[3].bias[0] = float("nan")
    save(tmp_path / "m.safetensors", network, toy_card())
    with pytest.raises(ModelError, match="NaN"):
        load(tmp_path / "m.safetensors")


def test_channels_by_role() -> None:
    classes = tuple(ModelClass(name=role, role=role) for role in ("clear", "debris", "floating", "clear"))
    card = dataclasses.replace(toy_card(), classes=classes)
    assert (card.channels("debris"), card.channels("floating"), card.channels("clear")) == ((1,), (2,), (0, 3))
    assert isinstance(card, ModelCard)


def test_network_config_limits() -> None:
    with pytest.raises(ValueError, match="width"):
        NetworkConfig(width=1)
    with pytest.raises(ValueError, match="contrast_windows"):
        NetworkConfig(contrast_windows=(4,))
    with pytest.raises(ValueError, match="head"):
        NetworkConfig(head=1000)
    with pytest.raises(ValueError, match="bands"):
        NetworkConfig(bands=True)
    assert NetworkConfig(width=64, dropout=0, contrast_windows=(5, 15), stem=48, head=32).width == 64
