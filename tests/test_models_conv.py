"""The convolutional and ResNet autoencoders: the seminar's table, shapes, gradients, errors."""

import pytest
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from course_utils import models

TABLE_3_1 = [  # layer, output shape of its block, parameters
    (nn.Conv2d, (16, 14, 14), 160),
    (nn.Conv2d, (32, 7, 7), 4_640),
    (nn.Conv2d, (64, 3, 3), 18_496),
    (nn.ConvTranspose2d, (32, 7, 7), 18_464),
    (nn.ConvTranspose2d, (16, 14, 14), 2_064),
    (nn.ConvTranspose2d, (1, 28, 28), 65),
]


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def test_seminar_table():
    autoencoder = models.conv_autoencoder()
    x, rows = torch.rand(5, 1, 28, 28), []
    for layer in [*autoencoder[0], *autoencoder[1]]:
        x = layer(x)
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            rows.append([type(layer), None, count(layer)])
        rows[-1][1] = tuple(x.shape[1:])  # the block's last layer leaves its shape here
    assert [tuple(row) for row in rows] == TABLE_3_1
    assert count(autoencoder) == 43_889
    assert autoencoder[0](torch.rand(2, 1, 28, 28)).flatten(1).shape == (2, 576)


def test_relu_is_last_unless_told_otherwise():
    images = torch.rand(64, 1, 28, 28)
    assert isinstance(models.conv_autoencoder()[1][-1], nn.ReLU)
    out = models.conv_autoencoder(last=nn.Sigmoid())(images)
    assert 0 < out.min() and out.max() < 1


MODELS = {
    "conv 576": (models.conv_autoencoder, (64, 3, 3)),
    "conv 10": (lambda: models.conv_autoencoder(10), (10,)),
    "resnet resize": (lambda: models.resnet_autoencoder(32), (32,)),
    "resnet transposed": (lambda: models.resnet_autoencoder(32, resize=False), (32,)),
}


@pytest.mark.parametrize("name", MODELS)
def test_shapes_and_gradients(name):
    build, code_shape = MODELS[name]
    torch.manual_seed(0)
    autoencoder, images = build(), torch.rand(8, 1, 28, 28)
    code = autoencoder[0](images)
    assert code.shape == (8, *code_shape)
    output = autoencoder[1](code)
    assert output.shape == images.shape
    (output - images).square().mean().backward()
    for parameter_name, parameter in autoencoder.named_parameters():
        assert parameter.grad is not None, f"{parameter_name} receives no gradient"


def test_small_code_is_linear_and_signed():
    """A small code has no activation: negative values occur, and no unit is cut off."""
    torch.manual_seed(0)
    code = models.conv_autoencoder(10)[0](torch.rand(256, 1, 28, 28))
    assert (code < 0).any() and (code != 0).all()


@pytest.mark.parametrize("latent_dim", [0, -3, 2.5, True, "10"])
@pytest.mark.parametrize(
    "build", [models.conv_autoencoder, models.resnet_autoencoder, models.upsampling_decoder]
)
def test_wrong_latent_dim_is_refused(build, latent_dim):
    with pytest.raises(ValueError, match="latent_dim must be a positive integer, got"):
        build(latent_dim)


def test_grey_stem_equals_three_equal_channels():
    """Summing the stem's filters over colour is what three equal channels would have seen."""
    torch.manual_seed(0)
    resnet = ResNet(BasicBlock, [1, 1, 1, 1]).eval()
    images = torch.rand(4, 1, 28, 28)
    expected = resnet.conv1(images.expand(-1, 3, -1, -1))
    torch.testing.assert_close(
        models.resnet_encoder(16, resnet)[0][0](images), expected, rtol=1e-4, atol=1e-5
    )


def test_resnet_head_is_gone():
    encoder = models.resnet_encoder(16)
    assert not any(
        isinstance(module, nn.Linear) and module.out_features == 1000
        for module in encoder.modules()
    )
    assert encoder[0](torch.rand(2, 1, 28, 28)).shape == (2, 128, 4, 4)
