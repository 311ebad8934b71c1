"""What is looked at before the first step of a training: mistakes in shape, range or setting."""

from __future__ import annotations

import copy
import math
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from course_utils.engine.noise import own_noise
from course_utils.losses import Loss, classification


def pair(name: str, data: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(images, labels) of an ImageSet, a pair or a tensor, or a ValueError in plain words.

    ``dtype``: that of the model's weights, which the images must have, too.
    """
    images, labels = data, None
    if hasattr(data, "images"):
        images, labels = data.images, data.labels
    elif isinstance(data, (tuple, list)):
        many = len(data) == 2 and getattr(data[1], "ndim", 1) > 2  # two images, no labels
        if len(data) != 2 or many:
            raise ValueError(
                f"{name}: expected images, a pair (images, labels) or an image set, got a "
                f"{type(data).__name__} of {len(data)}; torch.stack makes one tensor of many"
            )
        images, labels = data
    if not isinstance(images, Tensor) or not images.is_floating_point():
        kind = f"{images.dtype} tensor" if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(
            f"{name}: images must be a float32 tensor, pixels in [0, 1], got a {kind}; "
            "load_images returns such"
        )
    if images.dtype != dtype:
        to = {torch.float32: ".float()", torch.float64: ".double()"}.get(dtype, f".to({dtype})")
        raise ValueError(
            f"{name}: the images are {images.dtype} and the model's weights {dtype}; say images{to}"
        )
    if images.dim() == 0 or not len(images):
        raise ValueError(f"{name}: there is no image in it")
    if images.dim() == 3 and len(images) in (1, 3):
        raise ValueError(
            f"{name}: {tuple(images.shape)} is a single image; images.unsqueeze(0) makes a set "
            "of one"
        )
    if labels is None:
        labels = torch.zeros(len(images), dtype=torch.long)
    try:
        labels = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"{name}: labels must be a tensor of whole numbers, got a {type(labels).__name__}"
        ) from None
    if labels.dim() == 0 or len(labels) != len(images):
        count = len(labels) if labels.dim() else "a single number for"
        raise ValueError(f"{name}: {len(images)} images but {count} labels")
    low, high = (float(bound) for bound in torch.aminmax(images))
    if not math.isfinite(low + high):
        raise ValueError(f"{name}: the images hold NaN or infinite values")
    if images.dim() == 4 and images.shape[1] in (1, 3) and (low < 0 or high > 1):
        raise ValueError(
            f"{name}: pixels must lie in [0, 1], found {low:g} to {high:g}; divide by 255, "
            "or normalise inside the model"
        )
    return images, labels


def need_labels(loss: Any, **given: Any) -> None:
    """A ValueError where labels are to be learned and images alone were given."""
    for name, data in given.items():
        if loss is classification and isinstance(data, Tensor):
            raise ValueError(
                f"{name}: classification needs labels, an image set or a pair (images, labels); "
                "got images alone"
            )


def check_settings(
    model: nn.Module,
    loss: Any,
    optimizer: Any,
    schedule: Any,
    epochs: Any,
    batch_size: Any,
    lr: Any,
    seed: Any,
) -> None:
    """A ValueError where a setting cannot work."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be an nn.Module, got {_kind(model)}")
    if not callable(loss) or str(getattr(loss, "__module__", "")).startswith("torch."):
        raise ValueError(
            "loss must be a function loss(model, images, labels) that returns one number, "
            "lambda model, images, labels: F.mse_loss(model(images), images) for instance, "
            f"got {_kind(loss)}"
        )
    for name, number in {"epochs": epochs, "batch_size": batch_size, "seed": seed}.items():
        lowest = 0 if name == "seed" else 1
        if isinstance(number, bool) or not isinstance(number, Integral) or number < lowest:
            what = "an integer, 0 or more" if name == "seed" else "a positive integer"
            raise ValueError(f"{name} must be {what}, got {number!r}")
    if isinstance(lr, bool) or not isinstance(lr, Real) or not 0 < float(lr) < math.inf:
        raise ValueError(f"lr, the learning rate, must be a positive number, got {lr!r}")
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError(
            "the model has no parameter that may learn: all are frozen (requires_grad=False)"
        )
    if optimizer is not None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise ValueError(
                f"optimizer must be a made one, torch.optim.Adam(model.parameters()) for instance, "
                f"got {_kind(optimizer)}"
            )
        theirs = {id(p) for group in optimizer.param_groups for p in group["params"]}
        learning = {n: id(p) for n, p in model.named_parameters() if p.requires_grad}
        lacks = [name for name, number in learning.items() if number not in theirs]
        if len(lacks) == len(learning):
            raise ValueError(
                "the optimizer holds no parameter of this model, so nothing would be learned: it "
                "belongs to a model that was built before; make the optimizer anew"
            )
        if lacks and theirs - {id(p) for p in model.parameters()}:
            raise ValueError(
                f"the optimizer lacks {', '.join(lacks)} and holds what is no part of this model: "
                "a part of it that was built before? Make the optimizer anew"
            )
    if schedule is not None and not callable(schedule):
        raise ValueError(
            "schedule must be a function that takes the optimizer and makes the scheduler, "
            "schedule=lambda optimizer: StepLR(optimizer, 10) for instance, "
            f"got {_kind(schedule)}"
        )


def check_function(on_epoch: Any) -> None:
    """A ValueError, before any epoch is trained, where there is nothing to call after it."""
    if on_epoch is not None and not callable(on_epoch):
        raise ValueError(
            "on_epoch must be a function on_epoch(model, history), "
            "lambda model, history: print(history.train_loss[-1]) for instance, "
            f"got {_kind(on_epoch)}"
        )


def _kind(thing: Any) -> str:
    if isinstance(thing, type):
        return f"the class {thing.__name__}"
    return f"{thing!r:.40}" if isinstance(thing, (str, int)) else f"a {type(thing).__name__}"


def scheduler(schedule: Any, optimizer: torch.optim.Optimizer) -> Any:
    """What ``schedule`` makes for the optimiser."""
    if schedule is None:
        return None
    try:
        made = schedule(optimizer)
    except TypeError as error:
        raise ValueError(
            "schedule must be a function that takes the optimizer alone, "
            f"schedule=lambda optimizer: StepLR(optimizer, 10) for instance ({error})"
        ) from error
    if not hasattr(made, "step"):
        raise ValueError(f"schedule must return a scheduler, got {_kind(made)}")
    return made


def try_out(
    name: str, model: nn.Module, loss: Loss, images: Tensor, labels: Tensor, device: torch.device
) -> None:
    """The loss of two images on the device, so that mistakes show before the first step.

    They are those with the smallest and the largest label, since a label may be out of range.
    """
    rank = labels.reshape(len(labels), -1).sum(1)
    two = torch.stack([rank.argmin(), rank.argmax()])
    x, y = images[two].to(device), labels[two].to(device)
    value = _loss(name, model.eval(), loss, x, y)
    if not isinstance(value, Tensor) or value.dim() or not value.is_floating_point():
        raise ValueError(
            "loss(model, images, labels) must return one number, a scalar tensor, "
            f"got {value!r:.60}"
        )
    if name == "data" and not value.requires_grad:
        raise ValueError(
            "the loss does not depend on the model's weights, so nothing can be learned: "
            "is there a .detach(), .item() or torch.no_grad() on the way from them?"
        )


def try_last_batch(
    model: nn.Module, loss: Loss, images: Tensor, labels: Tensor, batch_size: int
) -> None:
    """A last batch of one image, which batch norm may refuse after all the others."""
    alone = len(images) % batch_size == 1 or batch_size == 1
    if not alone or not any(isinstance(part, _BatchNorm) for part in model.modules()):
        return
    tried = copy.deepcopy(model).train()  # a copy, since batch norm would count this image
    try:
        with torch.no_grad(), own_noise(torch.device("cpu")):
            loss(tried, images[:1].cpu(), labels[:1].cpu())
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            f"the last of the batches would hold one image, and batch norm needs two: with "
            f"{len(images)} images choose another batch_size than {batch_size}"
        ) from error


def _loss(name: str, model: nn.Module, loss: Loss, images: Tensor, labels: Tensor) -> Any:
    with torch.enable_grad(), own_noise(images.device):
        try:
            return loss(model, images, labels)
        except (RuntimeError, IndexError, TypeError, ValueError, AttributeError, KeyError) as error:
            advice = ""
            if "same device" in str(error):
                advice = (
                    "; what a loss makes or holds must lie where the images are: "
                    "torch.rand(images.shape, device=images.device) or mean.to(images.device)"
                )
            elif labels.dtype not in (torch.long, torch.float32, torch.float64):
                advice = f"; the labels are {labels.dtype}: say labels.long()"
            raise ValueError(
                f"{name}: the loss cannot be computed on images of shape {tuple(images.shape)} "
                f"and labels {labels.tolist()}: {error}{advice}"
            ) from error
