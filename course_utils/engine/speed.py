"""What makes the same training step faster on this machine, and is put back afterwards.

`benchmarks/RESULTS.md` says what each of the two is worth, and which others were tried and left
out. Neither changes what is computed beyond rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn


def choose_device(wanted: str | torch.device | None) -> torch.device:
    """What was asked for, else CUDA, else MPS, else the CPU.

    Raises ValueError where there is no such device.
    """
    found = (
        "cuda"
        if torch.cuda.is_available()
        else "mps"
        if torch.backends.mps.is_available()
        else "cpu"
    )
    try:
        torch.empty(0, device=wanted or found)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(
            f"device must be one that this machine has, {found!r} for instance, got {wanted!r} "
            f"({str(error).splitlines()[0]})"
        ) from error
    return torch.device(wanted or found)


def adam(model: nn.Module, lr: float) -> torch.optim.Adam:
    """Adam over the parameters that may learn; ``fused``: one pass over each weight, not ten."""
    learning = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.Adam(learning, lr=lr, fused=learning[0].device.type in ("cpu", "cuda"))


def place(model: nn.Module, optimizer: torch.optim.Optimizer | None, device: torch.device) -> None:
    """Move a model, and the averages that its optimiser keeps, to a device."""
    if all(p.device == device for p in model.parameters()):
        return
    model.to(device)
    if optimizer is not None:
        optimizer.load_state_dict(
            optimizer.state_dict()
        )  # it brings its state to where the parameters are


@contextmanager
def switched_on(device: torch.device) -> Iterator[None]:
    """Inside the ``with`` block: products of 8-bit mantissas, summed in float32.

    Only where the processor has them.
    """
    precision = torch.get_float32_matmul_precision()
    try:
        if device.type == "cpu" and has_bf16():
            torch.set_float32_matmul_precision("medium")
        yield
    finally:
        torch.set_float32_matmul_precision(precision)


@lru_cache
def has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 itself; else "medium" is slower than float32."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and any(
        flag in cpuinfo.read_text() for flag in ("avx512_bf16", "amx_bf16")
    )
