"""Images that no file holds, made from the data set by changes drawn from the grader's secret."""

from __future__ import annotations

import torch
from torch import Tensor


def altered(
    images: Tensor, random: torch.Generator, mirror: bool | None = None, one_shift: bool = False
) -> Tensor:
    """Images (N, 1, 28, 28) in [0, 1], mirrored or not, each shifted by up to a pixel, a bit paler.

    Args:
        mirror: True or False; by default the secret decides.
        one_shift: shift all images alike, which leaves them as compressible as they were.
    """
    if mirror is None:
        mirror = bool(torch.rand(1, generator=random) < 0.5)
    changed = images.flip(-1) if mirror else images.clone()
    shifts = torch.randint(-1, 2, (1 if one_shift else len(images), 2), generator=random)
    if one_shift:
        changed = changed.roll(tuple(shifts[0].tolist()), dims=(-2, -1))
    else:
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                here = (shifts[:, 0] == dy) & (shifts[:, 1] == dx)
                changed[here] = changed[here].roll((dy, dx), dims=(-2, -1))
    paler = 0.9 + 0.1 * torch.rand(len(images), 1, 1, 1, generator=random)
    return changed * paler
