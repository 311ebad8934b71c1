"""Each corruptor does what its name says, in whatever mode anything else is."""

import pytest
import torch
from torch import nn

from course_utils.corruption import Dropout, Gaussian, Masking, RandomErasing, SaltAndPepper

GREY = torch.full((200, 1, 28, 28), 0.4)
ALL = [Dropout(0.5), Masking(0.5), Gaussian(0.3), SaltAndPepper(0.3), RandomErasing(10)]


@pytest.mark.parametrize("corruptor", ALL, ids=repr)
def test_new_images_of_the_same_shape_that_depend_on_the_seed_alone(corruptor):
    before = GREY.clone()
    torch.manual_seed(3)
    first = corruptor(GREY)
    torch.manual_seed(3)
    again = corruptor(GREY)
    other = corruptor(GREY)
    assert first.shape == GREY.shape and first.dtype == torch.float32
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(GREY, before), "the clean images were changed in place"
    from_generators = [
        corruptor(GREY, generator=torch.Generator().manual_seed(5)) for _ in range(2)
    ]
    assert torch.equal(*from_generators)


@pytest.mark.parametrize(
    "corruptor",
    [Dropout(0.0), Masking(0.0), Gaussian(0.0), SaltAndPepper(0.0), RandomErasing(0)],
    ids=repr,
)
def test_strength_zero_changes_nothing(corruptor):
    assert torch.equal(corruptor(GREY), GREY)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_has_the_values_and_the_rate_of_torch_in_train_mode(p):
    ours, theirs = Dropout(p)(GREY), nn.Dropout(p).train()(GREY)
    assert torch.allclose(ours.unique(), theirs.unique())
    assert (ours == 0).float().mean().item() == pytest.approx(
        p, abs=0.01
    )  # 156,800 pixels: five deviations are below .0065
    assert ours.mean().item() == pytest.approx(0.4, abs=0.02)


def test_a_pixel_is_spoiled_independently_of_its_neighbours_and_its_image():
    zero = (Masking(0.5)(GREY) == 0).float().flatten(1)
    assert zero.mean(0).min() > 0.2 and zero.mean(0).max() < 0.8  # no pixel is spared or always hit
    assert zero.mean(1).std() < 0.03  # sqrt(.25 / 784) = .018


def test_masking_keeps_what_it_does_not_hide():
    assert set(Masking(0.3)(GREY).unique().tolist()) == {0.0, GREY[0, 0, 0, 0].item()}


def test_everything_may_be_dropped():
    assert Dropout(1.0)(GREY).abs().max() == 0 and Masking(1)(GREY).abs().max() == 0


def test_gaussian_has_its_deviation_and_stays_an_image():
    noise = Gaussian(0.05)(GREY) - GREY
    assert noise.mean().abs() < 0.001 and noise.std().item() == pytest.approx(0.05, rel=0.02)
    strong = Gaussian(2.0)(GREY)
    assert strong.min() == 0 and strong.max() == 1


def test_salt_and_pepper_in_equal_parts():
    spoiled = SaltAndPepper(0.3)(GREY)
    for value, share in [(0.0, 0.15), (1.0, 0.15), (GREY[0, 0, 0, 0].item(), 0.7)]:
        assert (spoiled == value).float().mean().item() == pytest.approx(share, abs=0.01)


def test_missing_block_is_one_square_that_reaches_every_corner():
    zero = (RandomErasing(10)(GREY.repeat(20, 1, 1, 1)) == 0)[:, 0]
    assert (zero.sum((1, 2)) == 100).all()
    assert (zero.any(2).sum(1) == 10).all() and (zero.any(1).sum(1) == 10).all()
    reached = zero.any(0)
    assert reached[0, 0] and reached[0, -1] and reached[-1, 0] and reached[-1, -1]
    assert (RandomErasing(28)(GREY) == 0).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dropout(1.5),
        lambda: Masking(-0.1),
        lambda: Gaussian(-1),
        lambda: SaltAndPepper(True),
        lambda: RandomErasing(2.5),
        lambda: RandomErasing(-1),
        lambda: RandomErasing(29)(GREY),
    ],
)
def test_impossible_strengths_are_refused_with_what_was_given(make):
    with pytest.raises(ValueError, match="got|fit"):
        make()
