"""Setting up: quick where nothing is missing, made anew where something broke, and clear where it cannot go on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.package_plugin import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="make and bash are not Windows's own")


def run(*command: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")} | variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the real set-up script and requirements that name nothing, so that nothing is downloaded."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "setup.sh", tmp_path / "tools")
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "requirements.txt").write_text("# nothing\n")
    return tmp_path


@pytest.mark.slow
def test_an_environment_is_made_once_and_again_when_it_is_broken_or_requirements_change(project: Path) -> None:
    first = run("tools/setup.sh", "engine", folder=project)
    assert first.returncode == 0, first.stderr
    assert "making .venv" in first.stdout
    python = project / ".venv" / "bin" / "python"
    assert run(str(python), "-c", "import pip", folder=project).returncode == 0

    again = run("tools/setup.sh", "engine", folder=project)
    assert (again.returncode, again.stdout) == (0, "")

    (project / "engine" / "requirements.txt").write_text("# nothing, said differently\n")
    changed = run("tools/setup.sh", "engine", folder=project)
    assert "installing the packages" in changed.stdout
    assert "making" not in changed.stdout

    python.unlink()
    broken = run("tools/setup.sh", "engine", folder=project)
    assert "making .venv" in broken.stdout
    assert run(str(python), "-c", "import pip", folder=project).returncode == 0


@pytest.mark.slow
def test_a_failed_installation_is_told_and_tried_again(project: Path) -> None:
    (project / "engine" / "requirements.txt").write_text("./no-such-package-here\n")
    for _ in range(2):
        failed = run("tools/setup.sh", "engine", folder=project)
        assert failed.returncode == 1
        assert "pip could not install the packages of engine/requirements.txt" in failed.stderr


def test_a_python_of_another_kind_is_refused(project: Path) -> None:
    refused = run("tools/setup.sh", "engine", folder=project, PYTHON="/bin/sh")
    assert refused.returncode == 1
    assert "Python 3.10 to 3.13" in refused.stderr
    assert "/bin/sh" in refused.stderr
    assert not (project / ".venv").exists()


@pytest.mark.parametrize("parts", [[], ["everything"]])
def test_an_unknown_part_is_refused(project: Path, parts: list[str]) -> None:
    refused = run("tools/setup.sh", *parts, folder=project)
    assert refused.returncode == 1
    assert "engine-tests" in refused.stderr


def test_help_lists_every_verb() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony
    listed = run("make").stdout
    assert sorted(re.findall(r"^make (\w+) ", listed, re.MULTILINE)) == sorted(phony.group(1).split())


def test_evaluate_without_data_says_what_to_name() -> None:
    refused = run("make", "evaluate")
    assert refused.returncode == 2
    assert "DATA=" in refused.stderr


def test_every_requirement_is_pinned() -> None:
    for name in ("engine/requirements.txt", "tests/requirements-engine.txt", "tests/requirements-qgis.txt"):
        lines = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line.strip()]
        packages = [line for line in lines if not line.startswith("#")]
        assert packages
        assert all(re.fullmatch(r"[A-Za-z0-9_.-]+(\[[a-z,]+\])?==[A-Za-z0-9.]+", line) for line in packages), name
