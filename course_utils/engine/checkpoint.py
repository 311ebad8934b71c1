"""Training that survives: the whole state of a training in one file, always the old or the new one.

The file is what ``torch.save`` makes, so ``torch.load`` opens it. It is a zip, and each part of a
zip has a checksum (CRC-32), by which damage is found. Nothing in it can run code
(``weights_only=True``).
"""

from __future__ import annotations

import glob
import hashlib
import io
import os
import warnings
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.engine.identity import describe, digest, printed


def write(
    path: str | Path,
    settings: dict,
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: Any,
    history: Any,
) -> None:
    """Write a new file, wait until it is on the disk, then let it take the old one's place."""
    path, content = Path(path), io.BytesIO()
    state = {
        "settings": settings,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": scheduler.state_dict() if scheduler else None,
        "history": asdict(history),
        "generators": _generators(model),
    }
    torch.save(state, content)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        warnings.warn(
            f"the checkpoint {path} could not be written ({error}); training goes on without it",
            stacklevel=4,
        )


def resume(
    path: str | Path,
    settings: dict,
    epochs: int,
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: Any,
    history: Any,
) -> None:
    """Put everything into the state in ``path``: model, optimiser, schedule, generators, history.

    Without a file it does nothing. A damaged one is set aside under another name, with a warning.

    Raises:
        ValueError: the file belongs to a training with other ``settings``, or to one that is longer
            than ``epochs``.
    """
    state = _read(Path(path))
    if state is None:
        return
    advice = f"Name another file or delete {path}"
    if different := _differences(state["settings"], settings):
        raise ValueError(
            f"the checkpoint {path} belongs to another training, which differs in "
            f"{', '.join(different)}. {advice}"
        )
    done = len(state["history"]["train_loss"])
    if done > epochs:
        raise ValueError(f"the checkpoint {path} holds {done} epochs, more than {epochs}. {advice}")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if scheduler:
        scheduler.load_state_dict(state["schedule"])
    vars(history).update(state["history"])
    torch.set_rng_state(state["generators"].pop("cpu"))
    for kind, generator in state["generators"].items():
        if kind == next(model.parameters()).device.type:  # another machine may have another device
            getattr(torch, kind).set_rng_state(generator)


def settings(
    model: nn.Module, optimizer: Optimizer, scheduler: Any, loss: Any, data: Any, validation: Any,
    **numbers: Any,
) -> dict:  # fmt: skip
    """What must be the same for a training to be the same: plain values that the file keeps."""
    rule = scheduler.state_dict() if scheduler else {}
    shapes = [(name, *value.shape) for name, value in model.state_dict().items()]
    return {
        "model": f"{printed(model)} {shapes}",
        "frozen parameters": [n for n, p in model.named_parameters() if not p.requires_grad],
        "loss": digest(describe(loss).encode()),
        "optimizer": f"{type(optimizer).__name__} {optimizer.defaults}",
        "schedule": [type(scheduler).__name__]
        + [f"{name}={value}" for name, value in rule.items() if _is_setting(name, value)],
        "data": _digest(*data),
        "validation": _digest(*validation) if validation else None,
        **numbers,
    }


def _is_setting(name: str, value: Any) -> bool:
    """Of a scheduler's state: whether it stays the same while the scheduler steps."""
    return isinstance(value, (int, float, str)) and name[0] != "_" and name != "last_epoch"


def _differences(theirs: dict, ours: dict) -> list[str]:
    """The names of the settings that differ, with the two values where they are short."""
    found = []
    for name in ours:
        there, here = theirs.get(name), ours[name]
        if there != here:
            plain = isinstance(here, int) and isinstance(there, int)
            found.append(f"{name} ({there} there, {here} here)" if plain else name)
    return found


def _read(path: Path) -> dict | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for part in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
        part.unlink(missing_ok=True)  # left by a process that was killed while it wrote
    if not path.exists():
        return None
    content = path.read_bytes()
    if _is_whole(content):
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    names = (path.with_name(f"{path.name}.damaged{n}") for n in range(1, 10**6))
    aside = next(name for name in names if not name.exists())
    os.replace(path, aside)
    warnings.warn(
        f"the checkpoint {path} is damaged; it is kept as {aside.name}, and training starts anew",
        stacklevel=6,
    )
    return None


def _is_whole(content: bytes) -> bool:
    """Whether it is a zip from its first byte on, whose parts all have their right checksum."""
    try:
        return (
            content[:4] == b"PK\x03\x04" and zipfile.ZipFile(io.BytesIO(content)).testzip() is None
        )
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, NotImplementedError):
        return False  # what zipfile says of a damaged table of contents


def _generators(model: nn.Module) -> dict[str, Tensor]:
    """The states of the random number generators that the training draws from."""
    kind, states = next(model.parameters()).device.type, {"cpu": torch.get_rng_state()}
    if kind != "cpu":
        states[kind] = getattr(torch, kind).get_rng_state()
    return states


def _digest(images: Tensor, labels: Tensor) -> str:
    some = slice(None, None, max(1, len(images) // 100))
    parts = (part[some].cpu().contiguous().numpy().tobytes() for part in (images, labels))
    return f"{tuple(images.shape)} {hashlib.sha256(b''.join(parts)).hexdigest()[:8]}"
