"""The models of the course, under the names that the chapter gives them.

Every autoencoder here is an ``nn.Sequential(encoder, decoder)``, so that ``autoencoder[0]`` is always the encoder and
``autoencoder[1]`` the decoder. Images are float32 (N, 1, 28, 28) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

PIXELS = 28 * 28


def _positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return value


class Encoder(nn.Module):
    """One linear layer and its activation: image (N, 1, 28, 28) -> code (N, latent_dim).

    Args:
        latent_dim: numbers kept for each image.
        activation: what follows the linear layer; the chapter's ``nn.ReLU()`` unless told otherwise.
            ``nn.Identity()`` gives a linear code.
        mean_image: (1, 28, 28); when given, it is subtracted from every image first, and stored with the weights.

    Raises:
        ValueError: ``latent_dim`` is not a positive integer.
    """

    def __init__(self, latent_dim: int, activation: nn.Module | None = None, mean_image: Tensor | None = None):
        super().__init__()
        self.linear = nn.Linear(PIXELS, _positive("latent_dim", latent_dim))
        self.relu = nn.ReLU() if activation is None else activation
        self.register_buffer("mean_image", mean_image)

    def forward(self, image: Tensor) -> Tensor:
        if self.mean_image is not None:
            image = image - self.mean_image
        flattened = image.flatten(start_dim=1)  # (N, 784)
        compressed_image = self.relu(self.linear(flattened))  # (N, latent_dim)
        return compressed_image


class Decoder(nn.Module):
    """The way back: code (N, latent_dim) -> image (N, 1, 28, 28), each pixel in (0, 1) through a sigmoid.

    Raises:
        ValueError: ``latent_dim`` is not a positive integer.
    """

    def __init__(self, latent_dim: int):
        super().__init__()
        self.linear = nn.Linear(_positive("latent_dim", latent_dim), PIXELS)
        self.sigmoid = nn.Sigmoid()

    def forward(self, compressed_image: Tensor) -> Tensor:
        decoded = self.sigmoid(self.linear(compressed_image))  # (N, 784)
        reconstructed_image = decoded.reshape(-1, 1, 28, 28)
        return reconstructed_image


def dense_autoencoder(latent_dim: int, activation: nn.Module | None = None, mean_image: Tensor | None = None) -> nn.Sequential:
    """The chapter's ``nn.Sequential(Encoder(latent_dim), Decoder(latent_dim))``; the options are the encoder's."""
    return nn.Sequential(Encoder(latent_dim, activation, mean_image), Decoder(latent_dim))


def stacked_autoencoder(latent_dim: int = 10, hidden: Sequence[int] = (256, 128)) -> nn.Sequential:
    """The seminar's hourglass: layers that narrow to a linear code, and their mirror image.

    With the defaults 784 -> 256 -> 128 -> 10 -> 128 -> 256 -> 784. ReLU stands between layers, never on the code.

    Raises:
        ValueError: a size is not a positive integer.
    """
    sizes = [PIXELS, *(_positive("hidden size", size) for size in hidden), _positive("latent_dim", latent_dim)]
    down, up = [nn.Flatten()], []
    for wide, narrow in zip(sizes, sizes[1:]):
        down += [nn.Linear(wide, narrow), nn.ReLU()]
        up = [nn.Linear(narrow, wide), nn.ReLU(), *up]
    return nn.Sequential(
        nn.Sequential(*down[:-1]),  # no activation on the code
        nn.Sequential(*up[:-1], nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))),
    )


def conv_autoencoder() -> nn.Sequential:
    """The seminar's convolutional autoencoder (its table 3.1): 43,889 parameters, a code of 64 x 3 x 3 = 576 numbers."""
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # 28x28 -> 14x14
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # 14x14 -> 7x7
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # 7x7 -> 3x3
    )
    decoder = nn.Sequential(
        nn.ConvTranspose2d(64, 32, 3, stride=2), nn.ReLU(),  # 3x3 -> 7x7
        nn.ConvTranspose2d(32, 16, 2, stride=2), nn.ReLU(),  # 7x7 -> 14x14
        nn.ConvTranspose2d(16, 1, 2, stride=2), nn.ReLU(),  # 14x14 -> 28x28
    )
    return nn.Sequential(encoder, decoder)
