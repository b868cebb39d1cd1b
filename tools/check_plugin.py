"""See that a real QGIS loads a plugin's zip: unpack it into a throw-away profile and ask for its algorithms."""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tools.install_plugin import InstallError, install
from tools.package_plugin import PLUGIN, PackageError, check_zip
from tools.qgis_process import QgisProcess, QgisProcessError

ALGORITHM = "debris:detect"


def check_in_qgis(archive: Path) -> str:
    """Return the version of the QGIS that loaded the plugin.

    Raises:
        PackageError: QGIS does not list the plugin's algorithm.
        QgisProcessError: qgis_process is missing or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(archive) as source:
            source.extractall(Path(folder) / "unpacked")
        profile_root = Path(folder) / "profile"
        install(Path(folder) / "unpacked" / PLUGIN, profile_root)
        qgis = QgisProcess(profile_root)
        listing = qgis.call("list")
        if ALGORITHM not in listing:
            raise PackageError(f"QGIS does not list {ALGORITHM} after unpacking {archive}; it lists:\n{listing}")
        return qgis.call("--version").splitlines()[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check one zip and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archive", type=Path, help="the plugin's zip")
    options = parser.parse_args(arguments)
    try:
        check_zip(options.archive)
        print(f"{check_in_qgis(options.archive)} loads it and lists {ALGORITHM}")
    except (PackageError, InstallError, QgisProcessError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
