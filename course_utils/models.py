"""The models of the course, under the names that the chapter gives them.

Every autoencoder here is an ``nn.Sequential(encoder, decoder)``, so that ``autoencoder[0]`` is
always the encoder and ``autoencoder[1]`` the decoder. Images are float32 (N, 1, 28, 28) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

PIXELS = 28 * 28


def _positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return int(value)


def _activation(name: str, given: nn.Module | None) -> nn.Module:
    if given is not None and not isinstance(given, nn.Module):
        got = f"the class {given.__name__}" if isinstance(given, type) else repr(given)
        raise ValueError(f"{name} must be a made module, nn.ReLU() for instance, got {got}")
    return nn.ReLU() if given is None else given


class Encoder(nn.Module):
    """One linear layer and its activation: image (N, 1, 28, 28) -> code (N, latent_dim).

    Args:
        latent_dim: numbers kept for each image.
        activation: what follows the linear layer; the chapter's ``nn.ReLU()`` unless told
            otherwise. ``nn.Identity()`` gives a linear code.
        mean_image: float32 (1, 28, 28); when given, it is subtracted from every image first, and
            stored with the weights.

    Raises:
        ValueError: ``latent_dim`` is not a positive integer, ``mean_image`` is not one image, or
            ``activation`` is no module.
    """

    mean_image: Tensor | None

    def __init__(
        self,
        latent_dim: int,
        activation: nn.Module | None = None,
        mean_image: Tensor | None = None,
    ):
        super().__init__()
        if mean_image is not None and mean_image.shape != (1, 28, 28):
            raise ValueError(
                f"mean_image must be one image of shape (1, 28, 28), got {tuple(mean_image.shape)}"
            )
        self.linear = nn.Linear(PIXELS, _positive("latent_dim", latent_dim))
        self.relu = _activation("activation", activation)
        # It moves and is saved with the weights, but is not trained.
        self.register_buffer("mean_image", mean_image)

    def forward(self, image: Tensor) -> Tensor:
        if self.mean_image is not None:
            image = image - self.mean_image
        flattened = image.flatten(start_dim=1)  # (N, 784)
        compressed_image = self.relu(self.linear(flattened))  # (N, latent_dim)
        return compressed_image


class Decoder(nn.Module):
    """The way back: code (N, latent_dim) -> image (N, 1, 28, 28), a sigmoid on each pixel.

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


def dense_autoencoder(
    latent_dim: int, activation: nn.Module | None = None, mean_image: Tensor | None = None
) -> nn.Sequential:
    """The chapter's ``nn.Sequential(Encoder(latent_dim), Decoder(latent_dim))``.

    The options are the encoder's.
    """
    return nn.Sequential(Encoder(latent_dim, activation, mean_image), Decoder(latent_dim))


def stacked_autoencoder(latent_dim: int = 10, hidden: Sequence[int] = (256, 128)) -> nn.Sequential:
    """The seminar's hourglass: layers that narrow to a linear code, and their mirror image.

    With the defaults 784 -> 256 -> 128 -> 10 -> 128 -> 256 -> 784. ReLU stands between layers,
    never on the code.

    Raises:
        ValueError: a size is not a positive integer.
    """
    sizes = [_positive("hidden size", size) for size in hidden]
    sizes = [PIXELS, *sizes, _positive("latent_dim", latent_dim)]
    down: list[nn.Module] = [nn.Flatten()]
    up: list[nn.Module] = []
    for wide, narrow in zip(sizes, sizes[1:]):
        down += [nn.Linear(wide, narrow), nn.ReLU()]
        up = [nn.Linear(narrow, wide), nn.ReLU(), *up]
    return nn.Sequential(
        nn.Sequential(*down[:-1]),  # no activation on the code
        nn.Sequential(*up[:-1], nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))),
    )


def conv_autoencoder(latent_dim: int | None = None, last: nn.Module | None = None) -> nn.Sequential:
    """The seminar's convolutional autoencoder (its table 3.1): 43,889 parameters.

    Its code has 64 x 3 x 3 = 576 numbers.

    Args:
        latent_dim: when given, two linear layers in the middle squeeze the 576 numbers to a linear
            code of this size.
        last: the activation on the pixels; the seminar's ``nn.ReLU()`` unless told otherwise.

    Raises:
        ValueError: ``latent_dim`` is not a positive integer, or ``last`` is no module.
    """
    # fmt: off
    encoder: list[nn.Module] = [
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # 28x28 -> 14x14
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # 14x14 -> 7x7
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # 7x7 -> 3x3
    ]
    decoder: list[nn.Module] = [
        nn.ConvTranspose2d(64, 32, 3, stride=2), nn.ReLU(),  # 3x3 -> 7x7
        nn.ConvTranspose2d(32, 16, 2, stride=2), nn.ReLU(),  # 7x7 -> 14x14
        nn.ConvTranspose2d(16, 1, 2, stride=2), _activation("last", last),  # -> 28x28
    ]
    # fmt: on
    if latent_dim is not None:
        encoder += [nn.Flatten(), nn.Linear(576, _positive("latent_dim", latent_dim))]
        decoder = [nn.Linear(latent_dim, 576), nn.ReLU(), nn.Unflatten(1, (64, 3, 3)), *decoder]
    return nn.Sequential(nn.Sequential(*encoder), nn.Sequential(*decoder))


def resnet_encoder(latent_dim: int, resnet: Any = None) -> nn.Sequential:
    """A torchvision ResNet without its head: grey image (N, 1, 28, 28) -> code (N, latent_dim).

    Kept are the stem and the first two stages, whose output is 128 x 4 x 4; the later stages would
    see 2 x 2 pixels and one. The stem's filters are summed over colour, which gives what three
    equal channels would.

    Args:
        resnet: any torchvision ResNet of basic blocks, pre-trained or not; one block to a stage
            unless given.
    """
    if resnet is None:  # imported here, since it takes a second and most models need no ResNet
        from torchvision.models.resnet import BasicBlock, ResNet

        resnet = ResNet(BasicBlock, [1, 1, 1, 1])
    stem = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    stem.weight.data = resnet.conv1.weight.data.sum(dim=1, keepdim=True)
    rest = (resnet.bn1, resnet.relu, resnet.maxpool, resnet.layer1, resnet.layer2)
    head = nn.Linear(128 * 4 * 4, _positive("latent_dim", latent_dim))
    return nn.Sequential(nn.Sequential(stem, *rest), nn.Flatten(), head)


def upsampling_decoder(latent_dim: int, resize: bool = True) -> nn.Sequential:
    """Code (N, latent_dim) -> image (N, 1, 28, 28) in steps: 4 x 4, 7 x 7, 14 x 14, 28 x 28.

    Args:
        resize: each step upsamples by repeating pixels and then convolves; otherwise it is one
            transposed convolution (3 x 3, stride 2), whose windows overlap unevenly (Odena et al.,
            *Deconvolution and Checkerboard Artifacts*, 2016).
    """

    def step(ins: int, outs: int, size: int) -> list[nn.Module]:
        if resize:
            return [nn.Upsample(size=size), nn.Conv2d(ins, outs, 3, padding=1), nn.ReLU()]
        odd = size % 2
        up = nn.ConvTranspose2d(ins, outs, 3, stride=2, padding=1, output_padding=1 - odd)
        return [up, nn.ReLU()]

    start = nn.Linear(_positive("latent_dim", latent_dim), 64 * 4 * 4)
    return nn.Sequential(
        start, nn.ReLU(), nn.Unflatten(1, (64, 4, 4)),
        *step(64, 32, 7), *step(32, 16, 14), *step(16, 8, 28),
        nn.Conv2d(8, 1, 3, padding=1), nn.Sigmoid(),
    )  # fmt: skip


def resnet_autoencoder(
    latent_dim: int = 64, resnet: Any = None, resize: bool = True
) -> nn.Sequential:
    """``resnet_encoder`` and ``upsampling_decoder`` around a linear code."""
    return nn.Sequential(resnet_encoder(latent_dim, resnet), upsampling_decoder(latent_dim, resize))


class VariationalEncoder(nn.Module):
    """Image (N, 1, 28, 28) -> a Gaussian over codes: its mean mu and the logarithm of its variance.

    In train mode ``forward`` draws one code (N, latent_dim) for each image by the
    reparameterisation mu + sigma * noise; in eval mode it returns mu. Source: Kingma and Welling,
    *Auto-Encoding Variational Bayes*, 2014.
    """

    def __init__(self, latent_dim: int, hidden: Sequence[int] = (256, 128)):
        super().__init__()
        layers = list(stacked_autoencoder(latent_dim, hidden)[0].children())
        self.body = nn.Sequential(*layers[:-1])  # all but the layer that makes the code
        self.mu = nn.Linear(hidden[-1], latent_dim)
        self.log_var = nn.Linear(hidden[-1], latent_dim)

    def moments(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log sigma^2, each (N, latent_dim)."""
        features = self.body(image)
        return self.mu(features), self.log_var(features)

    def forward(self, image: Tensor) -> Tensor:
        mu, log_var = self.moments(image)
        return mu + (log_var / 2).exp() * torch.randn_like(mu) if self.training else mu


def variational_autoencoder(
    latent_dim: int = 10, hidden: Sequence[int] = (256, 128)
) -> nn.Sequential:
    """The stacked autoencoder with a :class:`VariationalEncoder` in place of its encoder.

    Train it with ``losses.elbo``.
    """
    encoder = VariationalEncoder(latent_dim, hidden)
    return nn.Sequential(encoder, stacked_autoencoder(latent_dim, hidden)[1])
