"""The dense models: the chapter's names and shapes, what is trained, and errors that help."""

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.models import Decoder, Encoder, dense_autoencoder, stacked_autoencoder


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def test_the_chapters_model():
    torch.manual_seed(0)
    images = torch.rand(7, 1, 28, 28)
    autoencoder = nn.Sequential(Encoder(10), Decoder(10))
    encoder, decoder = autoencoder[0], autoencoder[1]
    code = encoder(images)
    assert code.shape == (7, 10) and (code >= 0).all() and (code == 0).any()
    assert decoder(code).shape == images.shape
    assert 0 < decoder(code).min() and decoder(code).max() < 1
    assert count(autoencoder) == 784 * 10 + 10 + 10 * 784 + 784 == 16_474
    # The formulas of the chapter, written without the classes.
    expected = torch.relu(images.reshape(7, 784) @ encoder.linear.weight.T + encoder.linear.bias)
    torch.testing.assert_close(code, expected)
    expected = torch.sigmoid(code @ decoder.linear.weight.T + decoder.linear.bias).reshape(
        7, 1, 28, 28
    )
    torch.testing.assert_close(autoencoder(images), expected)


def test_dense_autoencoder_is_the_chapters_model():
    torch.manual_seed(3)
    expected = nn.Sequential(Encoder(10), Decoder(10)).state_dict()
    torch.manual_seed(3)
    got = dense_autoencoder(10).state_dict()
    assert got.keys() == expected.keys() and all(
        torch.equal(got[name], expected[name]) for name in expected
    )


def test_activation_and_mean_image():
    images = torch.rand(50, 1, 28, 28)
    linear = Encoder(10, nn.Identity())
    torch.testing.assert_close(linear(images), linear.linear(images.flatten(1)))
    mean_image = images.mean(dim=0)
    centred = Encoder(10, nn.Identity(), mean_image)
    torch.testing.assert_close(centred(images), centred.linear((images - mean_image).flatten(1)))
    assert count(centred) == count(linear), "the mean image is data, it must not be trained"
    assert "mean_image" in centred.state_dict(), (
        "saved weights without the mean image would be another model"
    )
    restored = Encoder(10, nn.Identity(), torch.zeros(1, 28, 28))
    restored.load_state_dict(centred.state_dict())
    torch.testing.assert_close(restored(images), centred(images))


def test_stacked_is_an_hourglass():
    torch.manual_seed(0)
    images = torch.rand(7, 1, 28, 28)
    autoencoder = stacked_autoencoder(10, (256, 128))
    widths = [
        (layer.in_features, layer.out_features)
        for layer in autoencoder.modules()
        if isinstance(layer, nn.Linear)
    ]
    assert widths == [(784, 256), (256, 128), (128, 10), (10, 128), (128, 256), (256, 784)]
    code = autoencoder[0](images)
    assert code.shape == (7, 10) and (code < 0).any(), "no activation stands on the code"
    output = autoencoder(images)
    assert output.shape == images.shape and 0 < output.min() and output.max() < 1
    assert isinstance(stacked_autoencoder(3, ())[0][-1], nn.Linear)


def test_numpys_integers_are_integers():
    assert Encoder(np.int64(10)).linear.out_features == 10


@pytest.mark.parametrize("latent_dim", [0, -1, 2.5, 10.0, True, "10", None])
@pytest.mark.parametrize("build", [Encoder, Decoder, dense_autoencoder, stacked_autoencoder])
def test_wrong_latent_dim_is_refused(build, latent_dim):
    with pytest.raises(ValueError, match="latent_dim must be a positive integer, got"):
        build(latent_dim)


def test_other_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="hidden size must be a positive integer, got 0"):
        stacked_autoencoder(10, (256, 0))
    with pytest.raises(
        ValueError,
        match=r"mean_image must be one image of shape \(1, 28, 28\), got \(5, 1, 28, 28\)",
    ):
        Encoder(10, mean_image=torch.rand(5, 1, 28, 28))
