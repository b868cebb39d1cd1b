"""What `make bench` runs: its numbers are for people, but it has to run."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ENGINE_BENCHMARKS = ("levels", "memory", "overhead", "product", "training")


@pytest.mark.parametrize("name", ENGINE_BENCHMARKS)
def test_it_can_be_imported(name: str):
    assert callable(importlib.import_module(f"benchmarks.{name}").main)


def test_overhead_is_measured(toy_model: Path):
    command = [sys.executable, "-m", "benchmarks.overhead", "--model", str(toy_model), "--size", "64", "--repeats", "1"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "tiles of 64 that share 32 pixels" in done.stdout
    assert "Detect / network: " in done.stdout
