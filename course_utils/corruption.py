"""What spoils an image.

A corruptor acts whenever it is called: it has no eval mode that would switch it off.

Each takes images float32 (N, 1, 28, 28) in [0, 1] and returns new ones of the same shape, spoiled
anew at every call; the randomness is torch's own (``torch.manual_seed``), or that of a
``generator`` handed in to get the same damage twice. Every strength outside its range raises a
ValueError when the corruptor is made; a square larger than the images, when it is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from torch import Generator, Tensor

from course_utils.engine.images import images_of


def _check(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= float(value) <= high:
        raise ValueError(f"{name} must be a number from {low} to {high}, got {value!r:.60}")


def _uniform(images: Tensor, generator: Generator | None) -> Tensor:
    return torch.rand(images.shape, generator=generator, device=images.device)


@dataclass(frozen=True)
class Masking:
    """Each pixel becomes 0 with probability ``p``; the others stay as they are."""

    p: float = 0.5

    def __post_init__(self):
        _check("p", self.p, 0, 1)

    def __call__(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        images = images_of(images)
        return images * (_uniform(images, generator) >= self.p)


@dataclass(frozen=True)
class Dropout(Masking):
    """The chapter's ``nn.Dropout(p)`` in train mode: masking that keeps each pixel's mean.

    The pixels that stay are divided by 1 - ``p``; at the default they double, up to 2.
    Source: Srivastava et al., *Dropout*, 2014, section 10.
    """

    def __call__(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        return super().__call__(images, generator) / max(1 - self.p, 1e-9)


@dataclass(frozen=True)
class Gaussian:
    """Normal noise of deviation ``sigma`` on each pixel, clipped to [0, 1]."""

    sigma: float = 0.3

    def __post_init__(self):
        _check("sigma", self.sigma, 0, 10)

    def __call__(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        images = images_of(images)
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        return (images + self.sigma * noise).clamp(0, 1)


@dataclass(frozen=True)
class SaltAndPepper:
    """Each pixel is replaced with probability ``p``, by black (0) or white (1) at even odds."""

    p: float = 0.25

    def __post_init__(self):
        _check("p", self.p, 0, 1)

    def __call__(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        images = images_of(images)
        chance = _uniform(images, generator)  # below p/2: black; from p/2 to p: white
        return torch.where(chance < self.p, (chance >= self.p / 2).to(images.dtype), images)


@dataclass(frozen=True)
class RandomErasing:
    """Random erasing: a square of ``size`` x ``size`` pixels is 0, at a random place in each image.

    The image has to be filled in there, which is called inpainting.
    Source: Zhong et al., *Random Erasing Data Augmentation*, 2020.
    """

    size: int = 12

    def __post_init__(self):
        if isinstance(self.size, bool) or not isinstance(self.size, Integral) or self.size < 0:
            raise ValueError(f"size must be a whole number of pixels, 0 or more, got {self.size!r}")

    def __call__(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        images = images_of(images)
        if images.dim() != 4:
            raise ValueError(
                f"expected images (N, 1, 28, 28), got shape {tuple(images.shape)}; "
                "images.unsqueeze(1) adds the channel"
            )
        height, width = images.shape[-2:]
        if self.size > min(height, width):
            raise ValueError(
                f"a square of {self.size} pixels does not fit into images of {height} x {width}"
            )
        corner = torch.rand((2, len(images), 1, 1, 1), generator=generator, device=images.device)
        top = (corner[0] * (height - self.size + 1)).floor()
        left = (corner[1] * (width - self.size + 1)).floor()
        rows = torch.arange(height, device=images.device).view(1, 1, -1, 1)
        columns = torch.arange(width, device=images.device).view(1, 1, 1, -1)
        in_height = (rows >= top) & (rows < top + self.size)
        in_width = (columns >= left) & (columns < left + self.size)
        return images.masked_fill(in_height & in_width, 0)
