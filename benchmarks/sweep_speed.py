"""What side-by-side training and a second process bring to a latent sweep; writes SWEEP.md.

`python -m benchmarks.sweep_speed`, some five quiet minutes on two cores. Four layouts of the same
runs (Fashion-MNIST, 22,000 images, one epoch, two seeds), in turns: one process with two torch
threads, or two processes of one thread each; every model by itself, or models trained side by side.
For comparison, the sum of the runs' own seconds when each has the machine to itself: what a sweep
costs beyond its training is the difference.
"""

import platform
import statistics
import time
from datetime import date
from pathlib import Path

import torch

from course_utils import models, sweeps
from course_utils.data import load_images

ROUNDS, GROUPS = 5, ([8, 16, 32, 64, 128], [256, 512], [784, 940, 1568])
LAYOUTS = {  # processes, widest model trained side by side
    "one process, one by one": (1, 0),
    "one process, side by side": (1, 10_000),
    "two processes, one by one": (2, 0),
    "two processes, side by side": (2, 10_000),
}


def sweep(splits, dims, processes, together):
    """Seconds of the whole sweep and the sum of its runs' seconds."""
    start = time.perf_counter()
    table = sweeps.latent_sweep(
        models.dense_autoencoder,
        dims,
        [0, 1],
        {"FashionMNIST": splits},
        epochs=1,
        together=together,
        n_jobs=processes,
    )
    assert (table["error"] == "").all()
    return time.perf_counter() - start, float(table["seconds"].sum())


def main(folder=Path(__file__).parent, images=22_000, rounds=ROUNDS, groups=GROUPS):
    torch.set_num_threads(2)
    splits = [
        load_images("FashionMNIST", "train").images[:images],
        *(load_images("FashionMNIST", split).images[:500] for split in ("validation", "test")),
    ]
    lines = [
        f"Seconds of a sweep over the widths of each row, two seeds, {images:,} images, one epoch: "
        f"medians of {rounds} rounds in turns (least to most).",
        "One process uses two threads; two processes use one each.",
        "",
        "| widths | "
        + " | ".join(LAYOUTS)
        + " | two processes are … times as fast | cost beyond the single runs |",
        "|---" * (len(LAYOUTS) + 3) + "|",
    ]
    for dims in groups:
        taken, alone = {name: [] for name in LAYOUTS}, []
        sweep(splits, dims[:1], 2, 0)  # starts the processes: that is paid once
        for _ in range(rounds):
            for name, layout in LAYOUTS.items():
                seconds, runs = sweep(splits, dims, *layout)
                taken[name].append(seconds)
                if layout == (1, 0):
                    alone.append(seconds / runs - 1)
        medians = {name: statistics.median(values) for name, values in taken.items()}
        best = {
            n: min(medians[name] for name, (processes, _) in LAYOUTS.items() if processes == n)
            for n in (1, 2)
        }
        cells = [
            f"{medians[name]:.1f} ({min(values):.1f}–{max(values):.1f})"
            for name, values in taken.items()
        ]
        lines.append(
            f"| {', '.join(map(str, dims))} | "
            + " | ".join(cells)
            + f" | {best[1] / best[2]:.2f} | {statistics.median(alone):.1%} |"
        )
        print(lines[-1], flush=True)
    lines += [
        "",
        "The factor compares the faster layout of each kind. The last column: what the first "
        "layout takes beyond the sum of its runs' own training times (scoring, bookkeeping).",
    ]
    versions = f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    head = [
        "# What a sweep costs",
        "",
        "Made by `python -m benchmarks.sweep_speed`. "
        f"{platform.machine()}, {torch.get_num_threads()} cores, {versions}, {date.today()}.",
        "",
    ]
    (folder / "SWEEP.md").write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
