"""The protocol as a caller sees it: a real child process, JSON lines, cancel, exit codes."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from training_data import marida_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def engine() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "serve"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


def _ask(process: subprocess.Popen[str], call: Any) -> None:
    process.stdin.write((call if isinstance(call, str) else json.dumps(call)) + "\n")
    process.stdin.flush()


def _answer(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.stdout]


def _detect(path: Path, folder: Path, model: Path) -> dict[str, Any]:
    request = {"input": str(path), "mask": str(folder / "mask.tif"), "model": str(model), "job_id": "t1"}
    return {"protocol": 1, "job": "detect", "request": request}


def test_a_job_from_start_to_result(engine, make_raster, water, toy_model: Path, tmp_path: Path) -> None:
    _ask(engine, _detect(make_raster(water(700, 600)), tmp_path, toy_model))
    lines = _answer(engine)
    assert engine.wait() == 0
    assert lines[0]["type"] == "started"
    assert lines[0]["pid"] == engine.pid
    assert {line["type"] for line in lines[1:-1]} == {"log", "progress"}
    assert lines[-1]["type"] == "result"
    assert lines[-1]["result"]["observed_pixels"] == 700 * 600


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        ("no json", "request", "no JSON"),
        ({"protocol": 9, "job": "detect", "request": {}}, "request", "protocol 9, this engine 1"),
        ({"protocol": 1, "job": "dance", "request": {}}, "request", "use one of detect"),
        ({"protocol": 1, "job": "detect", "request": {"input": "a.tif"}}, "request", "needs mask"),
        ({"protocol": 1, "job": "detect", "request": {"input": "a", "mask": "b", "depth": 1}}, "request", "no depth"),
        ({"protocol": 1, "job": "detect", "request": {"input": 3, "mask": "b"}}, "request", "input is 3: give a text"),
        (
            {"protocol": 1, "job": "detect", "request": {"input": "a", "mask": "b", "threshold": "x"}},
            "request",
            "give a number",
        ),
    ],
)
def test_bad_requests(engine, call: Any, code: str, message: str) -> None:
    _ask(engine, call)
    last = _answer(engine)[-1]
    assert engine.wait() == 1
    assert (last["type"], last["code"]) == ("error", code)
    assert message in last["message"]


def test_an_error_carries_its_code(engine, tmp_path: Path, toy_model: Path) -> None:
    _ask(engine, _detect(tmp_path / "none.tif", tmp_path, toy_model))
    last = _answer(engine)[-1]
    assert (last["type"], last["code"]) == ("error", "raster")
    assert "There is no file" in last["message"]


def test_a_result_that_is_no_json_is_an_error_with_a_line() -> None:
    code = (
        "import dataclasses, sys\n"
        "from engine import service\n"
        "result = dataclasses.make_dataclass('Result', ['area'])(float('nan'))\n"
        "service.run = lambda request, monitor: result\n"
        "sys.exit(service.serve())\n"
    )
    call = json.dumps({"protocol": 1, "job": "status", "request": {}})
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=call + "\n", capture_output=True, text=True, check=False
    )
    last = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, last["type"], last["code"]) == (1, "error", "internal")
    assert "ValueError" in last["message"]


@pytest.mark.parametrize("how", ["line", "end of input"])
def test_cancel_stops_soon_and_leaves_nothing(engine, how: str, make_raster, toy_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    _ask(engine, _detect(make_raster(np.full((11, 3000, 3000), 0.02, dtype=np.float32)), out, toy_model))
    while json.loads(engine.stdout.readline())["type"] != "progress":
        pass
    begin = time.monotonic()
    if how == "line":
        _ask(engine, "cancel")
    else:
        engine.stdin.close()
    last = _answer(engine)[-1]
    assert engine.wait() == 3
    assert last["code"] == "cancelled"
    assert time.monotonic() - begin < 10
    assert list(out.iterdir()) == []


BUSY = """
import sys, time
import engine.service
from engine.outputs import Staging
def busy(request, monitor):
    with Staging(request.job_id) as staging:
        staging.add(request.mask).write_text("unfinished")
        monitor(0.5, "In the middle of something long")
        time.sleep(60)
engine.service.run = busy
sys.exit(engine.service.serve())
"""


@pytest.mark.parametrize("reads_on", [True, False])
def test_the_end_of_input_ends_it_amid_a_long_step(reads_on: bool, tmp_path: Path) -> None:
    """A step may take a minute; whoever has closed the input is dead, most likely, and cannot end it."""
    out = tmp_path / "out"
    out.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        _ask(process, _detect(tmp_path / "scene.tif", out, tmp_path / "model"))
        while json.loads(process.stdout.readline())["type"] != "progress":
            pass
        assert len(list(out.iterdir())) == 1
        begin = time.monotonic()
        process.stdin.close()
        if reads_on:
            assert _answer(process)[-1]["code"] == "cancelled"
        else:
            process.stdout.close()
        assert process.wait(10) == 3
        assert time.monotonic() - begin < 3
    assert list(out.iterdir()) == []


BUSY_COMMAND = """
import sys, time
import engine.__main__
from engine.outputs import Staging
def busy(request, monitor):
    with Staging(request.job_id) as staging:
        staging.add(request.mask).write_text("unfinished")
        print("begun", flush=True)
        time.sleep(60)
engine.__main__.run = busy
sys.exit(engine.__main__.main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without a signal")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_command_line_and_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-c", BUSY_COMMAND, "detect", "--input", "scene.tif", "--mask", str(out / "mask.tif")]
    # Tests that run in the background of a shell ignore SIGINT, and so would what they start.
    heard = functools.partial(signal.signal, number, signal.SIG_DFL)
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heard
    ) as process:
        assert process.stdout.readline() == "begun\n"
        assert len(list(out.iterdir())) == 1
        process.send_signal(number)
        assert process.wait(10) == 3
        assert process.stderr.read().strip() == "Cancelled."
    assert list(out.iterdir()) == []


def test_stop_ends_a_training_and_keeps_the_best(engine, tmp_path: Path) -> None:
    folder = marida_folder(tmp_path / "data", scenes=2, patches=1)
    request = {
        "source": "marida", "folder": str(folder), "model": str(tmp_path / "m.safetensors"), "width": 4,
        "tile_size": 32, "epochs": 5000, "patience": 5000, "batch_size": 2, "device": "cpu",
    }  # fmt: skip
    _ask(engine, {"protocol": 1, "job": "train", "request": request})
    for line in engine.stdout:
        if json.loads(line).get("message", "").startswith("Epoch 2:"):
            break
    _ask(engine, "stop")
    last = _answer(engine)[-1]
    assert engine.wait() == 0
    assert last["result"]["stopped"]
    assert 2 <= last["result"]["epochs"] < 5000
    assert (tmp_path / "m.safetensors").exists()


def test_the_command_line_gives_the_result_as_its_last_line(
    make_raster, water, toy_model: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "engine", "detect", "--input", str(make_raster(water(40, 50)))]
    command += ["--mask", str(tmp_path / "m.tif"), "--model", str(toy_model), "--extent", "500000,599800,500100,600000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["observed_pixels"] == 200


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_command_line_says_what_the_engine_says_alone(make_raster, scene, toy_model: Path, tmp_path: Path) -> None:
    """Not what its libraries do, nor that a raster has no place, which the engine says itself."""
    raster = make_raster(scene, crs=None, transform=Affine.identity())
    command = [sys.executable, "-m", "engine", "detect", "--input", str(raster), "--model", str(toy_model)]
    command += ["--mask", str(tmp_path / "m.tif"), "--detections", str(tmp_path / "d.gpkg")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "areas, longitudes and latitudes are unknown" in done.stderr
    for foreign in ("Created", "GDAL", "NotGeoreferenced"):
        assert foreign not in done.stderr
    command += ["--extent", "1,2,x"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "argument --extent: invalid list of numbers, with commas between, value: '1,2,x'" in done.stderr


def test_the_command_line_fails_with_one_message(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "engine", "detect", "--input", "none.tif", "--mask", str(tmp_path / "m.tif")]
    done = subprocess.run([*command, "--threshold", "1.5"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "threshold is 1.5: it must lie between 0 and 1."


def test_importing_the_engine_is_cheap() -> None:
    code = (
        "import sys, engine, engine.jobs, engine.service; "
        "print(sorted({'torch', 'rasterio', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_status_lists_what_there_is(engine) -> None:
    _ask(engine, {"protocol": 1, "job": "status", "request": {}})
    result = _answer(engine)[-1]["result"]
    assert result["problems"] == []
    assert result["versions"]["torch"]
    assert result["memory_total_mb"] > 0
    assert result["models"][0]["threshold"] > 0


def test_status_names_a_damaged_model(engine, tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    _ask(engine, {"protocol": 1, "job": "status", "request": {"model_folder": str(tmp_path)}})
    problems = _answer(engine)[-1]["result"]["problems"]
    assert any("bad.safetensors is not a model file" in problem for problem in problems)


def test_names_are_relative_to_the_folder_that_comes_with_the_request(engine, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "bad.safetensors").write_bytes(b"nothing")
    request = {"model_folder": "models"}
    _ask(engine, {"protocol": 1, "job": "status", "request": request, "folder": str(tmp_path)})
    assert any("bad.safetensors" in problem for problem in _answer(engine)[-1]["result"]["problems"])
