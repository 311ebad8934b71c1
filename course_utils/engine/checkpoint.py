"""Training that survives: the whole state of a training in one file, always the old or the new one.

The file is what ``torch.save`` makes, so ``torch.load`` opens it. It is a zip, and each part of a
zip has a checksum (CRC-32), by which damage is found. Nothing in it can run code
(``weights_only=True``).
"""

from __future__ import annotations

import glob
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

from course_utils.engine import identity, noise


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
        "generators": noise.states(next(model.parameters()).device),
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
) -> bool:
    """Put everything into the state in ``path``: model, optimiser, schedule, generators, history.

    A line says what was loaded. Without a file it does nothing. A damaged one, one of a training
    with other ``settings`` and one with more epochs are set aside under another name, and a warning
    or a line says so; from then on ``settings`` name what the training really starts from. False
    where the folder cannot be used.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for part in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
            part.unlink(missing_ok=True)  # left by a process that was killed while it wrote
        state = _read(path, settings, epochs) if path.exists() else None
    except OSError as error:
        warnings.warn(
            f"the checkpoint {path} cannot be used ({error}); training goes on without it",
            stacklevel=5,
        )
        return False
    if state is None:
        settings.update(_NOW[str(path)])
        return True
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if scheduler:
        scheduler.load_state_dict(state["schedule"])
    vars(history).update(state["history"])
    noise.restore(state["generators"])
    done = len(history)
    if done == epochs:
        print(f"{path}: all {epochs} epochs loaded, nothing trained.")
    else:
        print(f"{path}: {done} of {epochs} epochs loaded, training goes on from there.")
    return True


def settings(
    path: str | Path, model: nn.Module, optimizer: Optimizer | None, schedule: Any, loss: Any,
    data: Any, validation: Any, **numbers: Any,
) -> dict:  # fmt: skip
    """What must be the same for a training to be the same: plain values that the file keeps.

    A model that this process has trained for this very file counts as what it was before, until
    `resume` finds nothing to load: after Ctrl-C the same cell goes on, though the model in memory
    has learned something meanwhile.
    """
    now = _NOW[str(path)] = _state_marks(model, optimizer)
    first = {part: _FIRST.get((str(path), part, value), value) for part, value in now.items()}
    return {
        "model": identity.mark(identity.parts_of(model)),
        "frozen parameters": [n for n, p in model.named_parameters() if not p.requires_grad],
        "loss": identity.mark(loss, (model,)),
        "schedule": identity.mark(schedule, (model, optimizer)),
        "data": _digest(*data),
        "validation": _digest(*validation) if validation else None,
        **first,
        **numbers,
    }


_FIRST: dict[tuple[str, str, str], str] = {}  # (file, part, what it has become) -> what it was
_NOW: dict[str, dict[str, str]] = {}  # file -> what the parts were when its latest call began


def left(path: str | Path, settings: dict, model: nn.Module, optimizer: Optimizer | None) -> None:
    """Remember what model and optimiser have become in the training with these settings."""
    for part, value in _state_marks(model, optimizer).items():
        _FIRST[str(path), part, value] = settings[part]


def _state_marks(model: nn.Module, optimizer: Optimizer | None) -> dict[str, str]:
    names = {id(p): name for name, p in model.named_parameters()}
    groups = optimizer.param_groups if optimizer else []
    learning = [[names.get(id(p), "") for p in group["params"]] for group in groups]
    state = optimizer.state_dict() if optimizer else None
    return {
        "first weights": identity.mark(dict(model.state_dict())),
        "optimizer": identity.mark((type(optimizer), learning, state)),
    }


def _differences(theirs: dict, ours: dict) -> list[str]:
    """The names of the settings that differ, with the two values where they are short."""
    found = []
    for name in ours:
        there, here = theirs.get(name), ours[name]
        if str(here).startswith(identity.UNKNOWN):
            kind = here.removeprefix(identity.UNKNOWN).partition(".")[0]
            found.append(f"{name} (it holds a {kind}, which cannot be compared)")
        elif there != here:
            plain = isinstance(here, (int, float)) and isinstance(there, (int, float))
            found.append(f"{name} ({there} there, {here} here)" if plain else name)
    return found


def _read(path: Path, settings: dict, epochs: int) -> dict | None:
    """The state in a file, if it is whole and of this training; else the file is set aside."""
    content = path.read_bytes()
    trained = settings["first weights"] != _NOW[str(path)]["first weights"]
    then = "the model trains on from its present weights" if trained else "training starts anew"
    if not _is_whole(content):
        aside = _set_aside(path, "damaged")
        warnings.warn(
            f"the checkpoint {path} is damaged; it is kept as {aside}, and {then}",
            stacklevel=6,
        )
        return None
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # a whole file of another kind
        state = {}
    if not isinstance(state, dict) or not {"settings", "history"} <= set(state):
        what = "is no checkpoint of a training"
    elif different := _differences(state["settings"], settings):
        what = f"belongs to a training that differs in {', '.join(different)}"
    elif (done := len(state["history"]["train_loss"])) > epochs:
        what = f"holds {done} epochs, more than {epochs}"
    else:
        what = ""
    if what:
        aside = _set_aside(path, "other")
        print(f"{path} {what}; it is kept as {aside}, and {then}.")
        return None
    return state


def _set_aside(path: Path, why: str) -> str:
    """Give a file another name, which is returned."""
    names = (path.with_name(f"{path.name}.{why}{n}") for n in range(1, 10**6))
    aside = next(name for name in names if not name.exists())
    os.replace(path, aside)
    return aside.name


def _is_whole(content: bytes) -> bool:
    """Whether it is a zip from its first byte on, whose parts all have their right checksum."""
    try:
        return (
            content[:4] == b"PK\x03\x04" and zipfile.ZipFile(io.BytesIO(content)).testzip() is None
        )
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, NotImplementedError):
        return False  # what zipfile says of a damaged table of contents


def _digest(images: Tensor, labels: Tensor) -> str:
    return f"{identity.digest_of(images)}, {identity.digest_of(labels)}"
