"""How good is a reconstruction, and beside what? Errors, and the baselines that stand next to every one of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn


def mse(images: Tensor, targets: Tensor) -> float:
    """Mean squared error per pixel, over all pixels of all images. Both (N, 1, 28, 28).

    Raises:
        ValueError: the shapes differ (broadcasting would give a number that means nothing).
    """
    if images.shape != targets.shape:
        raise ValueError(f"mse compares images of one shape, got {tuple(images.shape)} and {tuple(targets.shape)}")
    return float(((images.double() - targets.double()) ** 2).mean())


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio in decibels, 10 log10(1 / error), of a mean squared error on images in [0, 1]."""
    return float(10 * np.log10(1 / error)) if error > 0 else float("inf")


@torch.no_grad()
def apply_in_batches(function: Callable[[Tensor], Tensor], images: Tensor, batch_size: int = 1000) -> Tensor:
    """``function`` over all images without gradients, a batch at a time; a model is put into eval mode and then put back."""
    was_training = isinstance(function, nn.Module) and function.training
    if was_training:
        function.eval()
    try:
        return torch.cat([function(batch) for batch in images.split(batch_size)])
    finally:
        if was_training:
            function.train()


def reconstruction_error(model: Callable[[Tensor], Tensor], images: Tensor, inputs: Tensor | None = None) -> float:
    """Mean squared error per pixel of ``model(inputs)`` against ``images``; ``inputs`` are the images unless given.

    For a denoising model pass the corrupted images as ``inputs``: scored on clean ones it has not been tested.
    """
    return mse(apply_in_batches(model, images if inputs is None else inputs), images)


class PCABaseline:
    """Principal component analysis of the training images: the best linear code of each size.

    Fitted once with every component (scikit-learn); each ``k`` then takes the first ``k``.
    """

    def __init__(self, train_images: Tensor):
        self._pca = PCA(svd_solver="covariance_eigh").fit(train_images.flatten(1).double().numpy())
        self.mean = torch.from_numpy(self._pca.mean_).float()  # (784,)
        self.components = torch.from_numpy(self._pca.components_).float()  # (784, 784), one component a row
        self.explained_variance_ratio = self._pca.explained_variance_ratio_  # (784,)

    def encode(self, images: Tensor, k: int) -> Tensor:
        """Images (N, 1, 28, 28) -> codes (N, k)."""
        return (images.flatten(1) - self.mean) @ self.components[:k].T

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (N, k) -> images (N, 1, 28, 28), not clipped: the error is PCA's own."""
        return (codes @ self.components[: codes.shape[1]] + self.mean).reshape(-1, 1, 28, 28)

    def error(self, images: Tensor, k: int) -> float:
        """Mean squared error per pixel with ``k`` components; ``k = 0`` is the mean image."""
        return mse(self.decode(self.encode(images, k)), images)


class AffineDenoiser:
    """The best affine map from corrupted to clean images in the least-squares sense, clipped to [0, 1].

    The closed-form baseline of every denoising model: x_hat = W x_corrupted + b, with W and b from the normal equations,
    ridge-stabilised. Source: linear minimum-mean-square-error estimation (Kay, *Fundamentals of Statistical Signal
    Processing: Estimation Theory*, 1993, ch. 12).
    """

    def __init__(self, corrupted: Tensor, clean: Tensor, ridge: float = 1e-4):
        x, y = corrupted.flatten(1).double(), clean.flatten(1).double()
        x_mean, y_mean = x.mean(0), y.mean(0)
        x = x - x_mean
        covariance = x.T @ x / len(x) + ridge * torch.eye(x.shape[1], dtype=x.dtype)
        weight = torch.linalg.solve(covariance, x.T @ (y - y_mean) / len(x))  # (784, 784)
        self.weight, self.bias = weight.float(), (y_mean - x_mean @ weight).float()

    def __call__(self, corrupted: Tensor) -> Tensor:
        """Corrupted images (N, 1, 28, 28) -> restored images, same shape."""
        return (corrupted.flatten(1) @ self.weight + self.bias).clamp(0, 1).reshape(corrupted.shape)
