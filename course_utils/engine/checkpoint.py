"""Training that survives: the whole state of a training in one file, written so that it is always the old or the new one.

The file is a SHA-256 of 32 bytes, then what ``torch.save`` makes. Nothing in it can run code (``weights_only=True``).
"""

from __future__ import annotations

import glob
import hashlib
import io
import os
import re
import warnings
from dataclasses import asdict
from pathlib import Path

import torch


def write(path: str | Path, settings: dict, model, optimizer, scheduler, history, best: dict) -> None:
    """Write everything to a new file, wait until it is on the disk, then let it take the old one's place in one move."""
    path, content = Path(path), io.BytesIO()
    torch.save({"settings": settings, "model": model.state_dict(), "best": best, "optimizer": optimizer.state_dict(),
                "schedule": scheduler.state_dict() if scheduler else None, "history": asdict(history), "generators": _generators(model)}, content)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            file.write(hashlib.sha256(content.getbuffer()).digest())
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        warnings.warn(f"the checkpoint {path} could not be written ({error}); training goes on without it", stacklevel=3)


def resume(path: str | Path, settings: dict, epochs: int, model, optimizer, scheduler, history) -> dict:
    """Put model, optimiser, schedule, generators and history into the state in ``path``, if there is one; return the best weights.

    A damaged file is set aside under another name, with a warning.

    Raises:
        ValueError: the file belongs to a training with other ``settings``, or to one that is longer than ``epochs``.
    """
    state = _read(Path(path))
    if state is None:
        return {}
    theirs, ours, advice = state["settings"], settings, f"Name another file or delete {path}"
    different = [f"{name} ({theirs.get(name)} there, {ours.get(name)} here)" if len(f"{theirs.get(name)}{ours.get(name)}") < 80 else name
                 for name in ours if theirs.get(name) != ours[name]]
    if different:
        raise ValueError(f"the checkpoint {path} belongs to another training, which differs in {', '.join(different)}. {advice}")
    if len(state["history"]["train_loss"]) > epochs:
        raise ValueError(f"the checkpoint {path} holds {len(state['history']['train_loss'])} epochs, more than {epochs}. {advice}")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if scheduler:
        scheduler.load_state_dict(state["schedule"])
    vars(history).update(state["history"])
    torch.set_rng_state(state["generators"].pop("cpu"))
    for kind, generator in state["generators"].items():
        if kind == next(model.parameters()).device.type:  # another machine may have another device
            getattr(torch, kind).set_rng_state(generator)
    return state["best"]


def settings(model, optimizer, scheduler, loss, data, validation, **numbers) -> dict:
    """What must be the same for a training to be the same: plain values, by which a checkpoint is known."""
    rule = scheduler.state_dict() if scheduler else {}
    return {
        "model": _plain(model) + str([(name, *value.shape) for name, value in model.state_dict().items()]),
        "frozen parameters": [name for name, parameter in model.named_parameters() if not parameter.requires_grad],
        "loss": _plain(getattr(loss, "__qualname__", loss)),
        "optimizer": _plain((type(optimizer).__name__, optimizer.defaults)),
        "schedule": [type(scheduler).__name__] + [f"{name}={value}" for name, value in rule.items()
                                                  if isinstance(value, (int, float, str)) and name[0] != "_" and name != "last_epoch"],
        "data": _digest(*data),
        "validation": _digest(*validation) if validation else None,
        **numbers,
    }


def _read(path: Path) -> dict | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for part in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
        part.unlink(missing_ok=True)  # left by a process that was killed while it wrote
    if not path.exists():
        return None
    content = path.read_bytes()
    if hashlib.sha256(content[32:]).digest() == content[:32]:
        return torch.load(io.BytesIO(content[32:]), map_location="cpu", weights_only=True)
    aside = next(name for n in range(1, 10**6) if not (name := path.with_name(f"{path.name}.damaged{n}")).exists())
    os.replace(path, aside)
    warnings.warn(f"the checkpoint {path} is damaged; it is kept as {aside.name}, and training starts anew", stacklevel=4)
    return None


def _generators(model) -> dict:
    """The states of the random number generators that the training draws from."""
    kind = next(model.parameters()).device.type
    return {"cpu": torch.get_rng_state()} | ({} if kind == "cpu" else {kind: getattr(torch, kind).get_rng_state()})


def _plain(thing) -> str:
    return re.sub(r" at 0x\w+", "", str(thing))  # an address is another one in each process


def _digest(images, labels) -> str:
    some = slice(None, None, max(1, len(images) // 100))
    content = b"".join(part[some].cpu().contiguous().numpy().tobytes() for part in (images, labels))
    return f"{tuple(images.shape)} {hashlib.sha256(content).hexdigest()[:8]}"
