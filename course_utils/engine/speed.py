"""What makes the same training step faster on this machine, and is put back afterwards.

Effects were measured on two cores of an AMD EPYC (Zen 5), batch 128, for the dense models with 10 and 940 code units and the
seminar's convolutional model; `benchmarks/RESULTS.md` has the table. None changes what is computed beyond rounding.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h


class Adam(torch.optim.Adam):
    """The same update without the bookkeeping around it, which for a small model takes longer than the update (10 units: +17 %)."""

    @torch.no_grad()
    def step(self, closure=None):
        group = self.param_groups[0]
        learning = [p for p in group["params"] if p.grad is not None]
        if not all(p in self.state for p in learning):
            return super().step(closure)  # the first step makes the averages
        steps, means, squares = ([self.state[p][name] for p in learning] for name in ("step", "exp_avg", "exp_avg_sq"))
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(learning, [p.grad for p in learning], means, squares, [], steps, amsgrad=False, maximize=False, lr=group["lr"],
                           beta1=group["betas"][0], beta2=group["betas"][1], weight_decay=group["weight_decay"], eps=group["eps"])

    step.hooked = True  # torch would wrap it in its profiler

    def zero_grad(self):
        for p in self.param_groups[0]["params"]:
            p.grad = None


def adam(model: nn.Module, lr: float, device: torch.device) -> torch.optim.Adam:
    """Adam over the parameters that may learn. ``fused``: one pass over each weight in place of ten (940 units: +76 %)."""
    kind = Adam if device.type == "cpu" and hasattr(torch, "_fused_adam_") else torch.optim.Adam
    return kind([p for p in model.parameters() if p.requires_grad], lr=lr, fused=device.type in ("cpu", "cuda"))


def place(model: nn.Module, optimizer: torch.optim.Optimizer | None, device: torch.device, training: bool) -> None:
    """Move a model, and the averages that its optimiser keeps, to a device.

    On a CPU the weights of convolutions lie channels-last while they train, as its convolution routines want them (+11 %).
    """
    layout = torch.channels_last if training and device.type == "cpu" else torch.contiguous_format
    moved = any(p.device != device for p in model.parameters())
    model.to(device)
    pictures = [p for p in model.parameters() if p.dim() == 4]
    for p in pictures:
        p.data = p.data.contiguous(memory_format=layout)
    if optimizer is not None:
        if moved:
            optimizer.load_state_dict(optimizer.state_dict())  # it brings its state to where the parameters are
        for p in pictures:
            state = optimizer.state.get(p, {})
            state |= {name: value.contiguous(memory_format=layout) for name, value in state.items()
                      if isinstance(value, torch.Tensor) and value.dim() == 4}


@contextmanager
def switched_on(device: torch.device) -> Iterator[None]:
    """The switches of a CPU, on inside the ``with`` block only; nothing on a GPU."""
    if device.type != "cpu":
        yield
        return
    precision = torch.get_float32_matmul_precision()
    try:
        if _has_bf16():
            torch.set_float32_matmul_precision("medium")  # products of 8-bit mantissas, summed in float32 (940 units: twice as fast)
        torch.set_flush_denormal(True)  # numbers below 1e-38 become 0: no more than noise here, more on chips that are slow with them
        _keep_memory(2**30, 2**31 - 1)  # freed tensors stay with the process, to be used again (convolutional: +7 %)
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_flush_denormal(False)
        _keep_memory(2**25, 2**26)  # where glibc's own rule ends up


@lru_cache
def _has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 itself; where it does not, "medium" is slower than float32."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and any(flag in cpuinfo.read_text() for flag in ("avx512_bf16", "amx_bf16"))


@lru_cache
def _libc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "gnu_get_libc_version") else None


def _keep_memory(largest: int, unused: int) -> None:
    """Ask glibc's malloc to keep blocks up to ``largest`` bytes, and ``unused`` bytes in all; other systems have no such call."""
    if _libc():
        _libc().mallopt(M_MMAP_THRESHOLD, largest) or _libc().mallopt(M_MMAP_THRESHOLD, 2**25)  # older glibc: 32 MB at most
        _libc().mallopt(M_TRIM_THRESHOLD, unused)
