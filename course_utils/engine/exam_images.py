"""Images that no file holds, made from the data set by changes drawn from the grader's secret.

Shifts, mirrors and paler print are few: who searches the data set under all of them finds each
image's original. A bend is drawn anew for each image from 32 normal numbers; its original then lies
farther away than what ten components of PCA make of the image.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def altered(
    images: Tensor,
    random: torch.Generator,
    mirror: bool | None = None,
    one_shift: bool = False,
    bend: float = 0.0,
) -> Tensor:
    """Images (N, 1, 28, 28) in [0, 1], mirrored or not, each shifted by up to a pixel, a bit paler.

    Args:
        mirror: True or False; by default the secret decides.
        one_shift: shift all images alike, which leaves them as compressible as they were.
        bend: the standard deviation, in pixels, by which sixteen places of each image move.
    """
    images = bent(images, random, bend) if bend else images
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


def bent(images: Tensor, random: torch.Generator, pixels: float) -> Tensor:
    """Each image as if printed on rubber and pulled at sixteen places."""
    size = [len(images), 1, *images.shape[-2:]]
    pulls = pixels * torch.randn(len(images), 2, 4, 4, generator=random)
    pulls = F.interpolate(pulls, size[-2:], mode="bicubic", align_corners=True)
    flat = F.affine_grid(torch.eye(2, 3).expand(len(images), 2, 3), size, align_corners=True)
    pulls = pulls.permute(0, 2, 3, 1) * 2 / (size[-1] - 1)
    return F.grid_sample(images, flat + pulls, align_corners=True).clamp(0, 1)
