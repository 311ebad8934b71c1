"""What is learned: plain functions ``loss(model, images, labels)`` that return a scalar tensor.

Images are float32 (N, 1, 28, 28) in [0, 1] unless a function says otherwise; labels int64 (N,),
zeros where there are none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


def reconstruction(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error per pixel between images and what the model makes of them."""
    return F.mse_loss(_same_shape(model(images), images), images)


def denoising(corruptor: Callable[[Tensor], Tensor]) -> Loss:
    """A loss: the model sees ``corruptor(images)`` and is compared with the clean images.

    In validation the images are corrupted as well.

    Raises:
        ValueError: ``corruptor`` is a class or a number.
    """
    if isinstance(corruptor, (type, int, float)):
        raise ValueError(
            f"denoising takes a corruptor that was made, Dropout() for instance, got {corruptor!r}"
        )

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return F.mse_loss(_same_shape(model(corruptor(images)), images), images)

    return loss


def classification(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy in nats; the model returns one score (logit) for each class, (N, classes)."""
    return F.cross_entropy(_tensor(model(images)), labels)


def elbo(beta: float = 1.0) -> Loss:
    """Minus the evidence lower bound of a variational autoencoder, in nats for each image.

    Binary cross-entropy *summed* over pixels plus ``beta`` times KL(N(mu, sigma^2) || N(0, I))
    *summed* over code units; the mean over images comes last. Source: Kingma and Welling,
    *Auto-Encoding Variational Bayes*, 2014, eq. 10; beta: Higgins et al., *beta-VAE*, 2017.
    """

    def loss(model: Any, images: Tensor, labels: Tensor) -> Tensor:
        if not hasattr(model[0], "moments"):
            raise ValueError(
                "elbo needs an encoder that returns the mean and the log-variance of a code, "
                "moments(images): variational_autoencoder makes one"
            )
        mu, log_var = model[0].moments(images)
        code = mu + (log_var / 2).exp() * torch.randn_like(mu)
        reconstructed = _same_shape(model[1](code), images)
        distortion = F.binary_cross_entropy(reconstructed, images, reduction="sum")
        kl = (mu**2 + log_var.exp() - 1 - log_var).sum() / 2
        return (distortion + beta * kl) / len(images)

    return loss


def _tensor(output: Any) -> Tensor:
    if not isinstance(output, Tensor):
        raise ValueError(
            f"the model returns a {type(output).__name__}, and this loss needs one tensor; "
            "write a loss that takes from it what it compares"
        )
    return output


def _same_shape(output: Any, images: Tensor) -> Tensor:
    if _tensor(output).shape != images.shape:
        raise ValueError(
            f"the model returns shape {tuple(output.shape)}, the images have "
            f"{tuple(images.shape)}; they must agree"
        )
    return output
