"""Requests from JSON and from the command line, and the job table."""

from __future__ import annotations

import dataclasses
import importlib

import pytest

from engine.__main__ import main
from engine.errors import EngineError, RequestError
from engine.jobs import JOBS, DetectRequest, request_from_mapping, run
from engine.monitor import Share


@pytest.mark.parametrize("name", list(JOBS))
def test_every_job_has_a_function_and_a_line_of_help(name: str) -> None:
    module, function = JOBS[name].function.split(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert JOBS[name].help.endswith(".")
    assert all(field.metadata["help"] for field in dataclasses.fields(JOBS[name].request))


def test_values_are_converted() -> None:
    request = request_from_mapping(
        "detect", {"input": "a", "mask": "b", "threshold": 1, "extent": [0, 1, 2, 3], "probability": None}
    )
    assert request == DetectRequest(input="a", mask="b", threshold=1.0, extent=(0.0, 1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    "values",
    [
        {"extent": [1, 2, 3]},
        {"extent": "1,2,3,4"},
        {"min_pixels": 1.5},
        {"min_pixels": True},
        {"scale": "x"},
        {"input": None},
    ],
)
def test_values_of_the_wrong_kind(values: dict[str, object]) -> None:
    with pytest.raises(RequestError, match=next(iter(values))):
        request_from_mapping("detect", {"input": "a", "mask": "b", **values})


@pytest.mark.parametrize("extent", [[1, 2, 3], ["a", 2, 3, 4], "1,2,3,4"])
def test_an_extent_says_what_it_takes(extent: object) -> None:
    with pytest.raises(RequestError, match="give four numbers, as west,south,east,north"):
        request_from_mapping("detect", {"input": "a", "mask": "b", "extent": extent})


def test_a_request_of_no_job() -> None:
    with pytest.raises(RequestError, match="no job"):
        run(object())


def test_errors_have_codes_of_their_own() -> None:
    kinds = EngineError.__subclasses__()
    assert len({kind.code for kind in kinds}) == len(kinds) >= 10


def test_a_share_is_a_part_of_the_whole() -> None:
    seen: list[float] = []
    share = Share(lambda fraction, message: seen.append(fraction), 0.5, 0.9)
    for fraction in (0.0, 0.5, 2.0):
        share(fraction, "")
    assert seen == pytest.approx([0.5, 0.7, 0.9])


@pytest.mark.parametrize("job", list(JOBS))
def test_help_of_every_job(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([job, "--help"])
    assert stop.value.code == 0
    assert JOBS[job].help in capsys.readouterr().out
