"""Training samples a second, over the same network's bare forward and backward pass on one resident batch.

Training makes batches ahead, turns and jitters them, computes the loss, clips, steps and averages the weights; the bare
pass squares the logits of one batch that lies in memory and runs back. Both run in turn in one process, with the tiles
made beforehand, as they are from a training's second epoch on.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time

import torch

from engine.devices import choose_device
from engine.monitor import silent
from engine.training.distributed import Processes
from engine.training.session import Session
from engine.training.sources import gather
from engine.training_jobs import TrainRequest


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    logging.getLogger("engine").setLevel(logging.ERROR)
    device, reason = choose_device(options.device)
    count = options.batch_size * options.steps
    request = TrainRequest(
        model="unused.safetensors", width=options.width, batch_size=options.batch_size, training_samples=count,
        validation_samples=1, warmup_epochs=0, device=options.device,
    )  # fmt: skip
    session = Session(request, gather(request), device, Processes())
    session.prepare(silent)
    for index in range(count):
        session.data.training.tile(index)
    bare = _Bare(session, options.batch_size)
    session.epoch(silent)
    bare.run(2)
    pairs = [(_seconds(lambda: session.epoch(silent)), bare.run(options.steps)) for _ in range(options.repeats)]
    ratios = sorted(alone / training for training, alone in pairs)
    best, fastest = (min(column) for column in zip(*pairs, strict=True))
    print(f"device: {reason}, torch {torch.__version__}, {'bfloat16' if session.mixed else 'float32'}")
    print(f"width {options.width}, batch {options.batch_size}: {count / best:.2f} training samples a second, "
          f"so {2000 * best / count:.0f} s an epoch of 2000")  # fmt: skip
    print(f"training / bare forward and backward: {statistics.median(ratios):.2f} "
          f"(median of {options.repeats}: {ratios[0]:.2f}-{ratios[-1]:.2f}); "
          f"{fastest / best:.2f} of the fastest of each")  # fmt: skip


class _Bare:
    """The network's own forward and backward pass."""

    def __init__(self, session: Session, batch_size: int) -> None:
        self.session = session
        x = torch.randn(batch_size, len(session.data.bands), 256, 256, device=session.device)
        self.batch = x.contiguous(memory_format=torch.channels_last)

    def run(self, steps: int) -> float:
        session = self.session
        session.network.train()

        def work() -> None:
            for _ in range(steps):
                with torch.autocast(session.device.type, dtype=torch.bfloat16, enabled=session.mixed):
                    logits = session.network(self.batch)
                session.optimiser.zero_grad(set_to_none=True)
                logits.float().square().mean().backward()
            if session.device.type == "cuda":
                torch.cuda.synchronize()

        return _seconds(work)


def _seconds(work: object) -> float:
    started = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
