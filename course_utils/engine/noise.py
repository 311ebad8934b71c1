"""The random number generators that a training draws from: the CPU's and the device's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def states(device: torch.device) -> dict[str, Tensor]:
    """Where the generators stand, by kind of device ("cpu", "cuda", "mps")."""
    found = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        found[device.type] = _of(device.type).get_rng_state()
    return found


def restore(found: dict[str, Tensor]) -> None:
    """Put the generators where they stood; those of devices that are not here stay as they are."""
    for kind, state in found.items():
        if kind == "cpu":
            torch.set_rng_state(state)
        elif _of(kind).is_available():
            _of(kind).set_rng_state(state)


@contextmanager
def own_noise(device: torch.device) -> Iterator[None]:
    """Random numbers drawn inside this block leave the training's own sequence as it is."""
    before = states(device)
    try:
        yield
    finally:
        restore(before)


def _of(kind: str):
    """torch.cuda or torch.mps."""
    return getattr(torch, kind)
