"""The job `status`: can this environment run jobs, and with what. Answers within a second or so.

torch takes seconds to import, so it is not imported: its native library is loaded instead, which is what fails where an
installation is broken, and the GPU driver is asked directly.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

from engine import __version__
from engine.errors import ModelError
from engine.jobs import StatusRequest, StatusResult
from engine.modelfile import BUNDLED_MODEL, read_card
from engine.monitor import Monitor, silent

__all__ = ["status"]

PACKAGES = ("numpy", "torch", "safetensors", "rasterio", "pyogrio", "pyproj", "shapely", "scipy")
IMPORTED = ("numpy", "rasterio", "pyproj", "shapely")
TORCH_LIBRARIES = {"linux": "libtorch_cpu.so", "darwin": "libtorch_cpu.dylib", "win32": "torch_cpu.dll"}


def status(request: StatusRequest, monitor: Monitor = silent) -> StatusResult:
    """Look at packages, device, memory and models; problems are listed, never raised."""
    problems: list[str] = []
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        problems.append(f"Python {platform.python_version()} is not supported: make the environment with 3.10 to 3.13.")
    versions = {name: _version(name, problems) for name in PACKAGES}
    for name in IMPORTED:
        _try_import(name, problems)
    device, reason = _device(problems)
    total, free = _memory_mb()
    return StatusResult(
        engine=__version__,
        python=platform.python_version(),
        executable=sys.executable,
        versions={name: version for name, version in versions.items() if version},
        device=device,
        device_reason=reason,
        threads=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_total_mb=total,
        memory_free_mb=free,
        models=_models(request.model_folder, problems),
        problems=problems,
    )


def _version(package: str, problems: list[str]) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        problems.append(f"The package {package} is not installed.")
        return ""


def _try_import(name: str, problems: list[str]) -> None:
    try:
        importlib.import_module(name)
    except Exception as error:  # whatever a broken installation raises is what the person must see
        problems.append(f"The package {name} cannot be loaded: {error}")


def _device(problems: list[str]) -> tuple[str, str]:
    """The device that `auto` will take, and why."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.origin:
        return "none", "torch is not installed"
    folder = Path(spec.origin).parent
    library = folder / "lib" / TORCH_LIBRARIES.get(sys.platform, "libtorch_cpu.so")
    try:
        if hasattr(os, "add_dll_directory"):
            os.add_dll_directory(str(library.parent))
        ctypes.CDLL(str(library))
    except OSError as error:
        problems.append(f"torch cannot be loaded: {error}")
        return "none", "torch cannot be loaded"
    text = (folder / "version.py").read_text(encoding="utf-8")
    built = re.search(r"^cuda\b[^=]*= *['\"]([\d.]+)['\"]", text, re.MULTILINE)
    if built and (count := _cuda_devices()):
        return "cuda", f"{count} CUDA device(s), torch built for CUDA {built.group(1)}"
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "mps", "Apple GPU"
    return "cpu", "no CUDA device was found" if built else "this torch is built for the CPU"


def _cuda_devices() -> int:
    """How many devices the NVIDIA driver has; 0 where there is no driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def _memory_mb() -> tuple[int, int]:
    """Total and available memory in MB; 0 where the system does not say it in a plain way."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        names = getattr(os, "sysconf_names", {})
        if "SC_PHYS_PAGES" in names:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2, 0
        return 0, 0
    values = dict(re.findall(r"^(MemTotal|MemAvailable): +(\d+) kB", text, re.MULTILINE))
    return int(values.get("MemTotal", 0)) // 1024, int(values.get("MemAvailable", 0)) // 1024


def _models(folder: str | None, problems: list[str]) -> list[dict[str, Any]]:
    paths = [BUNDLED_MODEL, *(sorted(Path(folder).glob("*.safetensors")) if folder else [])]
    models = []
    for path in paths:
        try:
            card = read_card(path)
        except ModelError as error:
            problems.append(str(error))
            continue
        except Exception as error:  # whatever a file that anybody may have put there does, the other models count
            problems.append(f"{path} cannot be read as a model ({type(error).__name__}: {error}): take it away.")
            continue
        models.append(
            {
                "path": str(path),
                "name": card.name,
                "bands": list(card.bands),
                "classes": [entry.name for entry in card.classes],
                "threshold": card.threshold,
                "level": card.level,
                "metrics": card.metrics,
            }
        )
    return models
