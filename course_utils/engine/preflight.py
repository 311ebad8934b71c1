"""What is looked at before the first step of a training: mistakes in shape, range or setting."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.losses import Loss


def pair(name: str, data: Any) -> tuple[Tensor, Tensor]:
    """(images, labels) of an ImageSet, a pair or a tensor, or a ValueError in plain words."""
    images, labels = data, None
    if hasattr(data, "images"):
        images, labels = data.images, data.labels
    elif isinstance(data, (tuple, list)):
        images, labels = data
    if not isinstance(images, Tensor) or not images.is_floating_point():
        kind = f"{images.dtype} tensor" if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(
            f"{name}: images must be a float32 tensor, pixels in [0, 1], got a {kind}; "
            "load_images returns such"
        )
    if not len(images):
        raise ValueError(f"{name}: there is no image in it")
    if labels is None:
        labels = torch.zeros(len(images), dtype=torch.long)
    labels = torch.as_tensor(labels)
    if len(labels) != len(images):
        raise ValueError(f"{name}: {len(images)} images but {len(labels)} labels")
    low, high = (float(bound) for bound in torch.aminmax(images))
    if not math.isfinite(low + high):
        raise ValueError(f"{name}: the images hold NaN or infinite values")
    if images.dim() == 4 and images.shape[1] in (1, 3) and (low < 0 or high > 1):
        raise ValueError(
            f"{name}: pixels must lie in [0, 1], found {low:g} to {high:g}; divide by 255, "
            "or normalise inside the model"
        )
    return images, labels


def check_settings(model: nn.Module, epochs: int, batch_size: int, lr: float) -> None:
    """A ValueError where a number cannot work."""
    for name, number in {"epochs": epochs, "batch_size": batch_size}.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} must be a positive integer, got {number!r}")
    if not lr > 0:
        raise ValueError(f"lr, the learning rate, must be a positive number, got {lr!r}")
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError(
            "the model has no parameter that may learn: all are frozen (requires_grad=False)"
        )


def try_out(name: str, model: nn.Module, loss: Loss, images: Tensor, labels: Tensor) -> None:
    """The loss of two images, so that mistakes show before the first step.

    They are those with the smallest and the largest label, since a label may be out of range.
    """
    rank = labels.reshape(len(labels), -1).sum(1)
    two = torch.stack([rank.argmin(), rank.argmax()])
    model.eval()
    with torch.no_grad(), own_noise(images.device):
        try:
            value = loss(model, images[two], labels[two])
        except (RuntimeError, IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"{name}: the loss cannot be computed on images of shape "
                f"{tuple(images[two].shape)} and labels {labels[two].tolist()}: {error}"
            ) from error
    if not isinstance(value, Tensor) or value.dim() or not value.is_floating_point():
        raise ValueError(
            "loss(model, images, labels) must return one number, a scalar tensor, "
            f"got {value!r:.60}"
        )


def own_noise(device: torch.device) -> AbstractContextManager:
    """Random numbers drawn inside this block leave the training's own sequence as it is."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])
