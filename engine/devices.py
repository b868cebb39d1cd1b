"""Where the network runs, and what it means when memory runs out there."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from engine.errors import DeviceError, MemoryExhausted

__all__ = ["choose_device", "memory_guard", "runs_mixed"]


def choose_device(name: str) -> tuple[torch.device, str]:
    """The device that `name` asks for, and the reason in words. `auto` takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        DeviceError: the device asked for cannot be used here.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "cuda" and not cuda:
        raise DeviceError(f"There is no usable CUDA device (torch {torch.__version__}): choose auto or cpu.")
    if name == "mps" and not mps:
        raise DeviceError("Apple's MPS is not available on this machine: choose auto or cpu.")
    if name == "cuda" or (name == "auto" and cuda):
        torch.backends.cudnn.benchmark = True
        return torch.device("cuda"), torch.cuda.get_device_name(0)
    if name == "mps" or (name == "auto" and mps):
        return torch.device("mps"), "Apple MPS"
    why = "" if name == "cpu" else ", as no GPU can be used"
    return torch.device("cpu"), f"CPU with {torch.get_num_threads()} threads{why}"


def runs_mixed(precision: str, device: torch.device) -> bool:
    """Whether to compute in bfloat16: as `precision` says (mixed, float32); with auto where a device multiplies it."""
    if precision != "auto":
        return precision == "mixed"
    if device.type == "cpu" and platform.machine().lower() in ("x86_64", "amd64"):
        # torch's own check there is for AVX-512 alone: without these two bfloat16 is emulated, and slower than float32.
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    if device.type == "cpu":
        # Builds without oneDNN, such as those for macOS, do not have the question.
        built: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        return built and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type == "cuda"


@contextmanager
def memory_guard(advice: str) -> Iterator[None]:
    """Turn memory that ran out, on the host or the device, into one error that says what to lower.

    Raises:
        MemoryExhausted: memory ran out inside.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise MemoryExhausted(f"Memory ran out. {advice}") from error
    except RuntimeError as error:
        # The CPU allocator of torch has no exception of its own (c10/core/impl/alloc_cpu.cpp).
        if "not enough memory" in str(error) or "can't allocate memory" in str(error):
            raise MemoryExhausted(f"Memory ran out. {advice}") from error
        raise
