"""Where a sweep keeps its finished runs, and the images that its processes share."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.engine.identity import describe, digest

Block = list[tuple[dict[str, Any], Path | None]]  # runs trained side by side, and their files

# torch's random numbers belong to the process: two runs in threads would share them
_ONE_AT_A_TIME = threading.Lock()


def file_of(
    folder: str | Path | None,
    run: dict[str, Any],
    build: Callable[[int], nn.Module],
    corruptor: Callable[[Tensor], Tensor],
    images: Sequence[str],
) -> Path | None:
    """Where a run is kept: the name hashes all that determines it.

    That is the settings, the images (their hashes), what builder, corruptor and the model's classes
    do, and the weights before training.
    """
    if folder is None:
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    torch.manual_seed(run["seed"])
    try:
        model = build(run["latent_dim"])
    except Exception:  # the run itself will fail in the same way and say so in its row
        return None
    everything = json.dumps(
        [run, images, describe(build), describe(corruptor), describe(model)], sort_keys=True
    )
    name = f"{run['dataset']}_{run['latent_dim']}_{run['seed']}_{digest(everything.encode())}.json"
    return Path(folder) / name


def read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


def write(file: Path, row: dict[str, Any]) -> None:
    """The whole row or nothing."""
    part = file.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(row))
    os.replace(part, file)


def hash_of(images: Tensor) -> str:
    return digest(images.numpy().tobytes())


def share(folder: str, images: Tensor) -> Path:
    """A file that all processes map into memory: one copy in the machine, however many read it."""
    path = Path(folder).resolve() / f"{hash_of(images)}.npy"
    np.save(path, images.numpy())
    return path


@lru_cache(maxsize=6)
def opened(split: Tensor | Path) -> Tensor:
    """The images behind what ``share`` returned; images themselves stay what they are."""
    return split if isinstance(split, Tensor) else torch.from_numpy(np.load(split, mmap_mode="c"))


def run_block(
    train: Any, block: Block, build: Any, corruptor: Any, where: list, several: bool
) -> list[dict]:
    """Let ``train`` train the block's models side by side and score each; store each.

    A block that fails is tried one model at a time.
    """
    if several:
        torch.set_num_threads(1)
    files = [file for _, file in block if file is not None and file.exists()]
    if len(files) == len(block):  # finished by a worker that died before it could report
        return [read(file) for file in files]
    try:
        with _ONE_AT_A_TIME:
            rows = train(block, build, corruptor, [opened(split) for split in where])
    except Exception as problem:  # one bad run must not end the others: its row says why
        if len(block) > 1:
            parts = (run_block(train, [one], build, corruptor, where, several) for one in block)
            return [row for rows in parts for row in rows]
        return [{**block[0][0], "error": f"{type(problem).__name__}: {problem}"}]
    for row, (_, file) in zip(rows, block):
        if file is not None:
            write(file, row)
    return rows
