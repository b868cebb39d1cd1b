"""Put the plugin into a QGIS profile, enable it, and show it where the engine's environment is.

Without options: the profile below QGIS_CUSTOM_CONFIG_PATH where that is set, else your own.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.package_plugin import PLUGIN, PackageError, assemble

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = "debris_engine"


class InstallError(Exception):
    """The plugin cannot be installed; the message says why and what to do."""


def find_profile_root(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The folder that holds QGIS's folder `profiles`.

    QGIS 3 and 4 have one each; QGIS 4's is taken where only that exists.
    """
    if custom := environment.get("QGIS_CUSTOM_CONFIG_PATH"):
        return Path(custom)
    home = Path(environment.get("HOME") or Path.home())
    if platform == "win32":
        base = Path(environment.get("APPDATA") or home / "AppData" / "Roaming")
    elif platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    third, fourth = base / "QGIS" / "QGIS3", base / "QGIS" / "QGIS4"
    return fourth if fourth.is_dir() and not third.is_dir() else third


def default_profile(profile_root: Path) -> str:
    """The profile that QGIS starts with: the one that profiles.ini names, else `default`."""
    settings = profile_root / "profiles" / "profiles.ini"
    text = settings.read_text(encoding="utf-8", errors="replace") if settings.is_file() else ""
    match = re.search(r"^defaultProfile=(.+?)\s*$", text, re.MULTILINE)
    name = match.group(1).strip('"') if match else "default"
    return name if (profile_root / "profiles" / name).is_dir() else "default"


def install(built: Path, profile_root: Path, profile: str = "default") -> Path:
    """Copy the plugin folder `built` into a profile, enable it, and return where it is.

    What stood there before is replaced as a whole, or stays as it was where the copy fails.

    Raises:
        InstallError: the folder is no plugin, or the profile cannot be written to.
    """
    if not (built / "metadata.txt").is_file() or not (built / "__init__.py").is_file():
        raise InstallError(f"{built} is no plugin folder: `make package` builds one.")
    folder = profile_root / "profiles" / profile
    plugins = folder / "python" / "plugins"
    target = plugins / PLUGIN
    try:
        plugins.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{PLUGIN}-", dir=plugins) as room:
            fresh, previous = Path(room) / "fresh", Path(room) / "previous"
            shutil.copytree(built, fresh, ignore=shutil.ignore_patterns("__pycache__"))
            _swap(fresh, target, previous)
        for settings in _settings_files(profile_root, folder):
            _enable(settings)
    except OSError as error:
        raise InstallError(f"The plugin cannot be written to {target} ({error}).") from error
    return target


def _swap(fresh: Path, target: Path, previous: Path) -> None:
    """Put `fresh` in the place of `target`, and what stood there, file, folder or link, at `previous`."""
    if target.exists() or target.is_symlink():
        target.rename(previous)
    try:
        fresh.rename(target)
    except OSError:
        if previous.exists() or previous.is_symlink():
            previous.rename(target)
        raise


def _settings_files(profile_root: Path, profile: Path) -> list[Path]:
    """The settings files of a profile: QGIS 3 and 4 name theirs by their number; both read a profile of one's own."""
    third, fourth = profile / "QGIS" / "QGIS3.ini", profile / "QGIS" / "QGIS4.ini"
    if profile_root.name == "QGIS3":
        return [third]
    return [fourth] if profile_root.name == "QGIS4" else [third, fourth]


def _enable(settings: Path) -> None:
    """Set `debris_qgis=true` in the section [PythonPlugins], and leave every other byte as it is."""
    # Latin-1 takes any byte and gives it back.
    text = settings.read_bytes().decode("latin-1") if settings.is_file() else ""
    ending = "\r\n" if "\r\n" in text else "\n"
    lines = text.rstrip().split(ending) if text.strip() else []
    if "[PythonPlugins]" not in lines:
        lines += ["", "[PythonPlugins]"] if lines else ["[PythonPlugins]"]
    start = lines.index("[PythonPlugins]") + 1
    end = next((n for n in range(start, len(lines)) if lines[n].startswith("[")), len(lines))
    others = [line for line in lines[start:end] if not line.startswith(f"{PLUGIN}=")]
    lines[start:end] = [f"{PLUGIN}=true", *others]
    settings.parent.mkdir(parents=True, exist_ok=True)
    unfinished = settings.with_name(f".{settings.name}.{os.getpid()}")
    unfinished.write_bytes((ending.join(lines) + ending).encode("latin-1"))
    unfinished.replace(settings)


def link_engine(environment: Path, profile_root: Path) -> Path | None:
    """Make the engine's environment findable as `debris_engine` in the profile root, where nothing stands there.

    Returns where the plugin will look, or None where there is no environment to show.

    Raises:
        InstallError: the link cannot be made; the message says what to do instead.
    """
    place = profile_root / ENVIRONMENT
    if place.is_symlink() and not place.exists():
        place.unlink()  # it points to an environment that is gone
    if place.exists():
        return place
    if not environment.is_dir():
        return None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(environment.resolve(), target_is_directory=True)
    except OSError as error:
        raise InstallError(
            f"{place} cannot be made a link to {environment} ({error}): set the environment variable "
            "DEBRIS_ENGINE_PYTHON to that environment's Python instead."
        ) from error
    return place


def main(arguments: Sequence[str] | None = None) -> int:
    """Install and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--profile-root", type=Path, help="folder that holds QGIS's folder `profiles`")
    parser.add_argument("--profile", help="profile's name; else the one that QGIS starts with")
    parser.add_argument("--built", type=Path, help="a built plugin folder; else it is built from the sources here")
    parser.add_argument("--engine", type=Path, default=ROOT / ".venv", help="the engine's environment (default: .venv)")
    parser.add_argument("--plugin-only", action="store_true", help="do not link the engine's environment")
    options = parser.parse_args(arguments)
    profile_root = (options.profile_root or find_profile_root()).absolute()
    profile = options.profile or default_profile(profile_root)
    try:
        with tempfile.TemporaryDirectory() as folder:
            built = options.built or assemble(Path(folder) / PLUGIN)
            print(f"plugin: {install(built, profile_root, profile)}")
        if not options.plugin_only:
            place = link_engine(options.engine, profile_root)
            print(f"engine: {place}" if place else f"engine: no environment at {options.engine}; run make setup")
    except (InstallError, PackageError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
