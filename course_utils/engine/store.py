"""Where a sweep keeps its finished runs, and the images that its processes share."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from course_utils.engine.identity import UNKNOWN, digest_of, mark

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
    torch.manual_seed(run["seed"])
    try:
        model = build(run["latent_dim"])
    except Exception:  # the run itself will fail in the same way and say so in its row
        return None
    known = mark((run, list(images), build, corruptor, model)).replace(UNKNOWN, "unknown-")
    name = f"{run['dataset']}_{run['latent_dim']}_{run['seed']}_{known}.json"
    return Path(folder) / name


def read(file: Path | None) -> dict[str, Any] | None:
    """The row that a file keeps, or None without one.

    A damaged one is set aside, with a warning.
    """
    if file is None:
        return None
    try:
        if not file.exists():
            return None
        row = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(row, dict) and "test_error" in row:
            return row
    except (OSError, ValueError):
        pass
    aside = file.with_suffix(".damaged")
    warnings.warn(
        f"{file} is damaged; it is kept as {aside.name}, and computed again", stacklevel=3
    )
    try:
        os.replace(file, aside)
    except OSError:
        pass  # it will be written over
    return None


def write(file: Path, row: dict[str, Any]) -> None:
    """The whole row or nothing; a disk that is full is told, and ends no sweep."""
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        with open(part, "w", encoding="utf-8") as opened_part:
            json.dump(row, opened_part)
            opened_part.flush()
            os.fsync(opened_part.fileno())
        os.replace(part, file)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        warnings.warn(
            f"{file} could not be written ({error}); the sweep goes on without it", stacklevel=2
        )


@contextmanager
def shared_folder(store: str | Path | None) -> Iterator[str]:
    """A folder for the images that processes share, in the store if there is one.

    It is held by a lock, which ends with its process: what killed sweeps have left is removed. Of a
    store that cannot be written a warning says so, and the folder is a temporary one.
    """
    try:
        made = _made_folder(store)
    except OSError as error:
        warnings.warn(
            f"the store {store} cannot be used ({error}); the sweep goes on without it",
            stacklevel=4,
        )
        made = _made_folder(None)
    with made as folder, FileLock(Path(folder) / "lock"):
        yield folder


def _made_folder(store: str | Path | None) -> tempfile.TemporaryDirectory:
    if store is not None:
        Path(store).mkdir(parents=True, exist_ok=True)
        for old in filter(_is_old, Path(store).glob("images-*")):
            try:
                if {path.name for path in old.iterdir() if path.suffix != ".npy"} != {"lock"}:
                    continue  # no sweep made it
                with FileLock(old / "lock", timeout=0):
                    pass
                shutil.rmtree(old, ignore_errors=True)
            except (Timeout, OSError, NotImplementedError):
                pass  # in use
        for part in filter(_is_old, Path(store).glob("*.part")):
            if re.search(r"_[0-9a-f]{24}\.\d+\.part$", part.name):  # as `write` names it
                part.unlink(missing_ok=True)
    return tempfile.TemporaryDirectory("", "images-", store, ignore_cleanup_errors=True)


def _is_old(path: Path) -> bool:
    """Whether nobody is just making it."""
    try:
        return time.time() - path.stat().st_mtime > 60
    except OSError:
        return False


def hash_of(images: Tensor) -> str:
    return digest_of(images)


def share(folder: str, images: Tensor, name: str) -> Path:
    """A file that all processes map into memory: one copy in the machine, however many read it."""
    path = Path(folder).resolve() / f"{name}.npy"
    np.save(path, images.cpu().numpy())
    return path


def end_with_parent() -> None:
    """Let this worker end when the process that started it is dead, and not minutes later."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end with parent").start()


@lru_cache(maxsize=6)
def opened(split: Tensor | Path) -> Tensor:
    """The images behind what ``share`` returned; images themselves stay what they are."""
    return split if isinstance(split, Tensor) else torch.from_numpy(np.load(split, mmap_mode="c"))


def run_block(
    train: Any, block: Block, build: Any, corruptor: Any, where: list, several: bool, main: int
) -> list[dict]:
    """Let ``train`` train the block's models side by side and score each; store each.

    A block that fails is tried one model at a time. ``main`` is the process that asks for it.
    """
    if several:
        torch.set_num_threads(1)
        watched = any(thread.name == "end with parent" for thread in threading.enumerate())
        if os.getpid() != main and not watched:
            end_with_parent()
    kept = [row for row in (read(file) for _, file in block) if row is not None]
    if len(kept) == len(block):  # finished by a worker that died before it could report
        return kept
    try:
        with _ONE_AT_A_TIME:
            rows = train(block, build, corruptor, [opened(split) for split in where])
    except Exception as problem:  # one bad run must not end the others: its row says why
        if len(block) > 1:
            parts = (
                run_block(train, [one], build, corruptor, where, several, main) for one in block
            )
            return [row for rows in parts for row in rows]
        return [{**block[0][0], "error": f"{type(problem).__name__}: {problem}"}]
    for row, (_, file) in zip(rows, block):
        if file is not None:
            write(file, row)
    return rows
