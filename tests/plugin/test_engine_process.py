"""The child process: what it says reaches the feedback, and whatever it does, QGIS gets an answer and goes on.

These tests put small programs in the engine's place, to have it crash, hang or babble on purpose.
"""

import os
import sys
import textwrap
import time
from pathlib import Path

import pytest

from debris_qgis import engine_process
from debris_qgis.engine_environment import Engine
from debris_qgis.engine_logs import KEPT
from debris_qgis.engine_process import EngineCancelled, EngineError, EngineProcess, explain

from .conftest import RecordingFeedback


@pytest.fixture
def engine(tmp_path):
    """Makes an EngineProcess whose package `engine` is the given program."""

    def make(program):
        package = tmp_path / "fake" / "engine"
        package.mkdir(parents=True)
        (package / "__main__.py").write_text(
            "import json, os, signal, sys, time\n"
            "request = json.loads(sys.stdin.readline())\n"
            "def say(**message): print(json.dumps(message), flush=True)\n" + textwrap.dedent(program)
        )
        return EngineProcess(Engine(Path(sys.executable), "a test", package.parent), tmp_path / "logs")

    return make


def logs(process):
    return sorted(process.folder.glob("*.log"))


def test_request_and_messages(engine, feedback):
    process = engine(
        """
        say(type="started")
        say(type="progress", fraction=0.5, message="half")
        say(type="log", level="warning", message="careful")
        say(type="log", level="info", message="ä and 水")
        say(type="result", result={"got": request})
        """
    )
    result = process.run("detect", {"input": "a"}, feedback, ["/nowhere/mask.tif"])
    assert result["got"]["job"] == "detect"
    assert result["got"]["protocol"] == 1
    assert result["got"]["folder"] == os.getcwd()
    assert result["got"]["request"]["input"] == "a"
    assert result["got"]["request"]["job_id"].isalnum()
    assert feedback.progress() == 50
    assert feedback.lines == ["half", "careful", "ä and 水"]
    assert logs(process) == []


def test_an_error_keeps_its_code_and_message(engine, feedback):
    process = engine('say(type="error", code="bands", message="no B8"); sys.exit(1)')
    with pytest.raises(EngineError, match="^no B8$") as caught:
        process.run("detect", {}, feedback)
    assert caught.value.code == "bands"


def test_a_bug_names_the_log(engine, feedback):
    process = engine(
        'print("Traceback …", file=sys.stderr); say(type="error", code="internal", message="It failed."); sys.exit(1)'
    )
    with pytest.raises(EngineError) as caught:
        process.run("detect", {}, feedback)
    (log,) = logs(process)
    assert str(log) in str(caught.value)
    assert "Traceback" in log.read_text()


def test_killed_is_explained_with_the_log_and_leaves_nothing(engine, feedback, tmp_path):
    process = engine(
        f"""
        from pathlib import Path
        folder = Path({str(tmp_path)!r}) / (".debris-" + request["request"]["job_id"])
        folder.mkdir()
        (folder / "mask.tif").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    with pytest.raises(EngineError, match=r"signal 9.*memory") as caught:
        process.run("detect", {}, feedback, [str(tmp_path / "mask.tif")])
    assert str(logs(process)[0]) in str(caught.value)
    assert not list(tmp_path.glob(".debris-*"))
    assert not (tmp_path / "mask.tif").exists()


@pytest.mark.parametrize(
    "program",
    [
        "time.sleep(60)",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsys.stdin.readline()\ntime.sleep(60)",
        "while True: say(type='x')",
    ],
)
def test_cancel_ends_it_within_two_seconds_whatever_it_does(engine, feedback, program):
    process = engine('say(type="progress", fraction=0.1, message="begun")\n' + textwrap.dedent(program))
    feedback.cancel_at = "begun"
    begin = time.monotonic()
    with pytest.raises(EngineCancelled):
        process.run("detect", {}, feedback)
    # The limit is 2 seconds from the cancel; starting Python takes its part of this.
    assert time.monotonic() - begin < 4


def test_the_engine_is_asked_before_it_is_ended(engine, feedback, tmp_path):
    process = engine(
        f"""
        say(type="progress", fraction=0.1, message="begun")
        open({str(tmp_path / "said")!r}, "w").write(sys.stdin.readline())
        """
    )
    feedback.cancel_at = "begun"
    with pytest.raises(EngineCancelled):
        process.run("detect", {}, feedback)
    assert (tmp_path / "said").read_text() == "cancel\n"


def test_noise_on_either_stream_does_no_harm(engine, feedback):
    process = engine(
        """
        sys.stderr.write("x" * 3_000_000)
        print("not json"); print("[1, 2]"); print("{}")
        sys.stdout.write("y" * 3_000_000 + chr(10))
        say(type="result", result={"ok": 1})
        """
    )
    assert process.run("detect", {}, feedback) == {"ok": 1}


def test_an_engine_that_closes_its_output_and_hangs_can_be_cancelled(engine, tmp_path):
    class Feedback(RecordingFeedback):
        def isCanceled(self):
            return (tmp_path / "closed").exists()

    process = engine(f"os.close(1); open({str(tmp_path / 'closed')!r}, 'w').close(); time.sleep(60)")
    begin = time.monotonic()
    with pytest.raises(EngineCancelled):
        process.run("detect", {}, Feedback())
    assert time.monotonic() - begin < 4


def test_an_answer_counts_where_the_engine_then_hangs(engine, feedback, monkeypatch):
    monkeypatch.setattr(engine_process, "FAREWELL_SECONDS", 0.2)
    begin = time.monotonic()
    assert engine('say(type="result", result={"ok": 1}); time.sleep(60)').run("detect", {}, feedback) == {"ok": 1}
    assert time.monotonic() - begin < 4


def test_a_progress_text_that_only_counts_does_not_fill_the_log(engine, feedback):
    process = engine(
        """
        for number in range(200):
            say(type="progress", fraction=number / 200, message=f"Tile {number} of 200")
        say(type="progress", fraction=1, message="Done")
        say(type="result", result={})
        """
    )
    process.run("detect", {}, feedback)
    assert feedback.lines[0] == "Tile 0 of 200"
    assert feedback.lines[-1] == "Done"
    assert len(feedback.lines) < 10
    assert feedback.progress() == 100


def test_a_profile_that_cannot_be_written_to_is_no_obstacle(engine, feedback):
    process = engine('say(type="result", result={"ok": 1})')
    process.folder = Path("/proc/logs")
    assert process.run("detect", {}, feedback) == {"ok": 1}


def test_an_end_without_an_answer(engine, feedback):
    with pytest.raises(EngineError, match=r"exit code 7"):
        engine("sys.exit(7)").run("detect", {}, feedback)


def test_a_missing_package_is_named(engine, feedback):
    with pytest.raises(EngineError, match=r"No module named 'torchh'.*Check Engine"):
        engine("import torchh").run("detect", {}, feedback)


def test_a_python_that_cannot_start(tmp_path, feedback):
    broken = tmp_path / "python"
    broken.write_text("no program")
    with pytest.raises(EngineError, match="cannot be started"):
        EngineProcess(Engine(broken, "a test", tmp_path), tmp_path / "logs").run("detect", {}, feedback)


def write_old_logs(process, year=2020):
    process.folder.mkdir(exist_ok=True)
    for number in range(KEPT + 10):
        log = process.folder / f"debris-{year}-{number:02}.log"
        log.touch()
        os.utime(log, (1.6e9, 1.6e9))


def test_old_logs_go(engine, feedback):
    process = engine("sys.exit(1)")
    write_old_logs(process)
    (process.folder / "other.log").touch()
    with pytest.raises(EngineError):
        process.run("detect", {}, feedback)
    assert len([log for log in logs(process) if log.name.startswith("debris-")]) == KEPT
    assert (process.folder / "other.log").is_file()


class Once(RecordingFeedback):
    """Does something as soon as the job has begun."""

    def __init__(self, then):
        super().__init__()
        self.then = then

    def setProgressText(self, text):
        self.then()


def test_the_log_of_a_running_job_stays_however_many_come_after_it(engine):
    """A training runs for hours; what is done beside it, and fails, must not take its log."""
    process = engine(
        """
        if request["request"].get("fail"): sys.exit(1)
        say(type="progress", fraction=0.1, message="begun")
        sys.stdin.readline()
        """
    )

    def others():
        (own,) = logs(process)
        # It is the oldest by name and by time, as the log of a training is in the end.
        os.utime(own, (1.5e9, 1.5e9))
        write_old_logs(process, year=9999)
        with pytest.raises(EngineError):
            process.run("detect", {"fail": True}, None)
        assert own.is_file()
        feedback.cancel()

    feedback = Once(others)
    with pytest.raises(EngineCancelled):
        process.run("train", {}, feedback)
    write_old_logs(process, year=9998)
    with pytest.raises(EngineError):
        process.run("detect", {"fail": True}, None)
    # Once it has ended, its log is as old as any.
    assert not [log for log in logs(process) if "train" in log.name]


def test_the_log_of_a_job_in_another_qgis_stays(engine, feedback):
    process = engine("sys.exit(1)")
    write_old_logs(process)
    of_another = process.folder / "debris-2020-00.log"
    of_another.touch()
    with pytest.raises(EngineError):
        process.run("detect", {}, feedback)
    assert of_another.is_file()


@pytest.mark.parametrize("ending", ['say(type="result", result={"ok": 1})', "sys.exit(3)"])
def test_a_log_that_is_gone_is_no_obstacle(engine, ending):
    process = engine(
        f"""
        say(type="progress", fraction=0.1, message="begun")
        while os.fstat(2).st_nlink: time.sleep(0.01)
        {ending}
        """
    )
    feedback = Once(lambda: [log.unlink() for log in logs(process)])
    if "result" in ending:
        assert process.run("train", {}, feedback) == {"ok": 1}
    else:
        with pytest.raises(EngineError, match=r"exit code 3\)\.$"):
            process.run("train", {}, feedback)


@pytest.mark.parametrize(
    ("code", "tail", "words"),
    [
        (-9, "", "no memory left"),
        (-11, "", "crashed (signal 11)"),
        (1, "x\nImportError: libgomp.so.1: cannot open\n", "libgomp.so.1"),
        (127, "error while loading shared libraries: libpython", "library"),
        (1, "terminate called … std::bad_alloc", "ran out of memory"),
        (5, "", "exit code 5"),
    ],
)
def test_explanations(code, tail, words):
    assert words in explain(code, tail)
