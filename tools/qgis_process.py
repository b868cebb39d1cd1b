"""QGIS without a screen: qgis_process with a profile of one's own, and the Python that has QGIS's bindings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NOISE = ("XDG_RUNTIME_DIR not set", "setapi() is deprecated")
PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3", "python3")


class QgisProcessError(Exception):
    """QGIS is missing or failed; the message holds what it said."""


class QgisProcess:
    """qgis_process with the profile below `profile_root`."""

    def __init__(self, profile_root: Path) -> None:
        found = shutil.which("qgis_process")
        if found is None:
            raise QgisProcessError("qgis_process was not found: `make setup` installs QGIS where apt-get is to be had.")
        # Debian's wrapper of QGIS 3.22 passes an option that qgis_process does not know; the program is beside it.
        program = Path(f"{found}.bin")
        self._program = str(program if program.is_file() else found)
        self._environment = headless_environment(profile_root)

    def call(self, *arguments: str, timeout: float | None = None) -> str:
        """Run qgis_process and return its standard output.

        Raises:
            QgisProcessError: it failed, or took longer than `timeout` seconds.
        """
        command = [self._program, *arguments]
        try:
            done = subprocess.run(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise QgisProcessError(f"{' '.join(command)} took more than {timeout:.0f} seconds.") from error
        if done.returncode != 0:
            said = _said(done.stdout + done.stderr)
            raise QgisProcessError(f"qgis_process {' '.join(arguments[:3])} failed ({done.returncode}):\n{said}")
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start qgis_process and return it while it runs; what it says is thrown away."""
        return subprocess.Popen(
            [self._program, *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, algorithm: str, parameters: Mapping[str, Any], timeout: float | None = None) -> dict[str, Any]:
        """Run a Processing algorithm and return its outputs by name; a list is a parameter of several values.

        Raises:
            QgisProcessError: the algorithm failed; the message holds what it said.
        """
        several = {name: value if isinstance(value, list) else [value] for name, value in parameters.items()}
        arguments = [f"{name}={value}" for name, values in several.items() for value in values]
        text = self.call("--json", "run", algorithm, "--", *arguments, timeout=timeout)
        # Libraries may write lines of their own before the JSON object.
        results: dict[str, Any] = json.loads(text[text.index("{") :])["results"]
        return results


def _said(text: str) -> str:
    """What a failed run said, each line once, without what QGIS says on every machine of this kind."""
    lines = dict.fromkeys(line for line in text.splitlines() if line.strip())
    return "\n".join(line for line in lines if not any(noise in line for noise in NOISE))


def headless_environment(profile_root: Path | None = None) -> dict[str, str]:
    """This process's environment, for a QGIS without a screen that has its profiles below `profile_root`.

    The variables of a Python environment are left out: QGIS brings its own Python.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment.pop("VIRTUAL_ENV", None)
    environment["QT_QPA_PLATFORM"] = "offscreen"
    if profile_root is not None:
        environment["QGIS_CUSTOM_CONFIG_PATH"] = str(profile_root)
    return environment


def qgis_python() -> str:
    """The Python that QGIS's bindings belong to.

    Raises:
        QgisProcessError: none was found.
    """
    environment = headless_environment()
    for candidate in PYTHONS:
        command = [candidate, "-c", "import qgis.core"]
        try:
            if subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0:
                return candidate
        except FileNotFoundError:
            continue
    raise QgisProcessError(f"None of {', '.join(PYTHONS)} has QGIS's Python bindings (python3-qgis).")
