"""How good is a reconstruction, and beside what?

Errors, and the baselines that stand next to every one of them.

Images and models may lie on any device; what is returned lies on the CPU.

Images are float32 (N, 1, 28, 28) in [0, 1], or an image set that holds them; an error is a mean
squared error per pixel, so it has no unit: .01 is a tenth of the way from black to white, squared.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.engine.images import images_of


def mse(images: Tensor, targets: Tensor) -> float:
    """Mean squared error per pixel, over all pixels of all images. Both (N, 1, 28, 28).

    Raises:
        ValueError: the shapes differ (broadcasting would give a number that means nothing), there
            is no image, or one of the two is no tensor of floats.
    """
    images, targets = images_of(images), images_of(targets)
    if images.shape != targets.shape:
        raise ValueError(
            f"mse compares images of one shape, got {tuple(images.shape)} "
            f"and {tuple(targets.shape)}"
        )
    if images.numel() == 0:
        raise ValueError("mse needs at least one image, got none")
    return float((images.cpu() - targets.cpu()).square().mean(dtype=torch.float64))


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio, in decibels, of a mean squared error on images in [0, 1].

    It is 10 log10(1 / error).

    Ten times less error is 10 dB more; no error at all is infinite.

    Raises:
        ValueError: ``error`` is negative or not a number.
    """
    if not error >= 0:
        raise ValueError(f"psnr takes a mean squared error, zero or more, got {error}")
    return float(10 * np.log10(1 / error)) if error > 0 else float("inf")


@torch.no_grad()
def apply_in_batches(
    function: Callable[[Tensor], Tensor], images: Tensor, batch_size: int = 250
) -> Tensor:
    """``function`` of all images, a batch at a time and without gradients.

    The result lies on the CPU. When ``function`` is a module it works in eval mode and on
    its own device; afterwards each of its parts is in its old mode.

    What convolutions make of 250 images stays in the processor's cache: it takes two thirds of the
    time that batches of 1,000 take.
    """
    images = getattr(images, "images", images)
    if not isinstance(function, nn.Module):
        return torch.cat([function(batch).cpu() for batch in images.split(batch_size)])
    weights = next(function.parameters(), images)
    training = [module for module in function.modules() if module.training]
    function.eval()
    try:
        batches = images.split(batch_size)
        return torch.cat([function(batch.to(weights.device)).cpu() for batch in batches])
    finally:
        for module in training:
            module.training = True


def reconstruction_error(
    model: Callable[[Tensor], Tensor], images: Tensor, inputs: Tensor | None = None
) -> float:
    """Mean squared error per pixel of ``model(inputs)`` against ``images``.

    ``inputs`` are the images themselves unless given. For a denoising model pass the corrupted
    images: scored on clean ones it has not been tested.
    """
    images = images_of(images)
    return mse(apply_in_batches(model, images if inputs is None else inputs), images)


class PCABaseline:
    """Principal component analysis: the linear code with the least error, for any size k.

    Fitted to the training images once with every component (scikit-learn, in double precision);
    each ``k`` then takes the first ``k``.
    """

    def __init__(self, train_images: Tensor):
        from sklearn.decomposition import (
            PCA,
        )  # here, since it takes a second and most programs need no PCA

        pixels = images_of(train_images).cpu().flatten(1).double().numpy()  # (N, 784)
        self._pca = PCA(svd_solver="covariance_eigh").fit(pixels)
        self.mean = torch.from_numpy(self._pca.mean_).float()  # (784,)
        self.components = torch.from_numpy(self._pca.components_).float()  # (784, 784), one a row
        self.explained_variance_ratio = self._pca.explained_variance_ratio_  # (784,)

    def encode(self, images: Tensor, k: int) -> Tensor:
        """Images (N, 1, 28, 28) -> codes (N, k).

        Raises:
            ValueError: there are not so many components, or ``k`` is no whole number.
        """
        if not isinstance(k, Integral) or not 0 <= k <= len(self.components):
            raise ValueError(
                f"k must be a whole number from 0 to the {len(self.components)} components there "
                f"are, got {k!r}"
            )
        return (images_of(images).cpu().flatten(1).float() - self.mean) @ self.components[:k].T

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (N, k) -> images (N, 1, 28, 28), not clipped: the error is PCA's own."""
        return (codes.cpu() @ self.components[: codes.shape[1]] + self.mean).reshape(-1, 1, 28, 28)

    def error(self, images: Tensor, k: int, clip: bool = False) -> float:
        """Mean squared error per pixel with ``k`` components; ``k = 0`` is the mean image.

        Args:
            clip: cut what is drawn to [0, 1] first, as a sigmoid would; fair beside a network.
        """
        drawn = self.decode(self.encode(images, k))
        return mse(drawn.clamp(0, 1) if clip else drawn, images)


class AffineDenoiser:
    """The best affine map from corrupted to clean images in the least-squares sense.

    What it gives is clipped to [0, 1].

    The closed-form baseline of every denoising model: x_hat = W x_corrupted + b, with W and b from
    the normal equations. Source: linear minimum-mean-square-error estimation (Kay, *Fundamentals of
    Statistical Signal Processing: Estimation Theory*, 1993, ch. 12).

    Args:
        corrupted, clean: training images, pair by pair, both (N, 1, 28, 28).
        ridge: added to the diagonal of the covariance, since pixels that are always black would
            make it singular.

    Raises:
        ValueError: the two do not have one shape.
    """

    def __init__(self, corrupted: Tensor, clean: Tensor, ridge: float = 1e-4):
        corrupted, clean = images_of(corrupted), images_of(clean)
        if corrupted.shape != clean.shape:
            raise ValueError(
                f"corrupted and clean images must be pairs, got {tuple(corrupted.shape)} and "
                f"{tuple(clean.shape)}"
            )
        x = corrupted.cpu().flatten(1).double()
        x_mean = x.mean(0)
        x = x - x_mean  # centred: then the clean images need not be
        covariance = x.T @ x / len(x) + ridge * torch.eye(x.shape[1], dtype=x.dtype)
        y = clean.cpu().flatten(1).double()
        weight = torch.linalg.solve(covariance, x.T @ y / len(x))  # (784, 784)
        self.weight, self.bias = weight.float(), (y.mean(0) - x_mean @ weight).float()

    def __call__(self, corrupted: Tensor) -> Tensor:
        """Corrupted images (N, 1, 28, 28) -> restored images, same shape."""
        corrupted = images_of(corrupted)
        restored = corrupted.cpu().flatten(1).float() @ self.weight + self.bias
        return restored.clamp(0, 1).reshape(corrupted.shape)
