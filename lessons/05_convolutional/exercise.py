# %% [markdown]
# # Exercise 5. Shapes by hand, and a way back
#
# A convolutional network is first of all bookkeeping: every layer turns one size into another, and a decoder has to arrive at exactly the size that the encoder began with.
# Here you do the bookkeeping yourself, for any size, and then build the decoder for an encoder that somebody else made.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | worked | one side of a convolution | · | 4 | – |
# | 1 | shape and parameters of a convolution | • | 8 | 3 |
# | 2 | and of its transpose | •• | 8 | 2 |
# | 3 | a decoder for a given encoder | ••• | 15 | 4 |
# | 4 | what is lost on the way? (text) | •• | 7 | 3 |
#
# Training takes less than a minute in all. Under every task stands a check that says what was expected, what came and the likely cause.
# The marks come from further checks, with other sizes and images, that you do not see.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. `epochs` gives about 400 steps, however many images there are.

# %%
import torch
from torch import nn

from course_utils import data, metrics, plots, training
from course_utils.checks import check

train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
epochs = max(1, round(400 * 128 / min(len(train), 7000)))
print(f"{len(train):,} images for training, {len(validation):,} for validation, {epochs} epochs of 7,000 images")

# %% [markdown]
# ## Worked: one side of a convolution
#
# A kernel of `kernel` pixels is laid on a side of `size` pixels, which `padding` made longer at both ends, and moved on by `stride` pixels as often as it fits. Places that do not fit are
# lost: the division is rounded **down**. Pooling follows the same rule.

# %%
def side_after(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


print("28 pixels, kernel 3, padding 1:", side_after(28, 3, padding=1), "   7 pixels, pooled by 2:", side_after(7, 2, stride=2))

# %% [markdown]
# ## 1. Shape and parameters of a convolution (•, 3 points)
#
# Images need not be square. For `nn.Conv2d(channels_in, channels_out, (kernel height, kernel width), stride, padding)` on images of `size = (height, width)` return the output's shape
# `(channels, height, width)` and the number of parameters, biases included. The first line stands there.

# %% nbgrader={"grade": false, "grade_id": "convolution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def convolution(size, channels_in, channels_out, kernel, stride=1, padding=0):
    """size, kernel: (height, width) -> ((channels, height, width), number of parameters)."""
    height = side_after(size[0], kernel[0], stride, padding)
    # width = ____
    # parameters = ____ weights for each output channel, and one bias
    ### BEGIN SOLUTION
    width = side_after(size[1], kernel[1], stride, padding)
    parameters = channels_out * (channels_in * kernel[0] * kernel[1] + 1)
    return (channels_out, height, width), parameters
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_convolution", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("a square image", lambda: convolution((28, 28), 1, 16, (3, 3), padding=1), ((16, 28, 28), 160), {"the biases are missing": ((16, 28, 28), 144), "channels_in is missing": ((16, 28, 28), 25)})
check("an oblong image and an oblong kernel", lambda: convolution((30, 20), 4, 6, (5, 3), stride=2), ((6, 13, 9), 366),
      {"height and width are swapped": ((6, 9, 13), 366), "one bias for the layer instead of one for each channel": ((6, 13, 9), 361)})
### BEGIN HIDDEN TESTS
import sys, course_utils; sys.path.insert(0, course_utils.__path__[0] + "/..")
from grading.judging import hidden
hidden("05_convolutional", "check_convolution", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. And of its transpose (••, 2 points)
#
# A transposed convolution goes the other way: the input's pixels are set `stride` pixels apart, each becomes a patch of the kernel's size, and `padding` pixels are cut off at both ends. Nothing is rounded. Return the
# side of the output. (`output_padding` stays 0.)

# %% nbgrader={"grade": false, "grade_id": "transposed", "locked": false, "schema_version": 3, "solution": true, "task": false}
def side_transposed(size, kernel, stride=1, padding=0):
    """Side of the output of nn.ConvTranspose2d on a side of `size` pixels, an int."""
    ### BEGIN SOLUTION
    return (size - 1) * stride + kernel - 2 * padding
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_transposed", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("3 pixels, kernel 3, stride 2", lambda: side_transposed(3, 3, stride=2), 7, {"stride times size, not size - 1": 9, "the convolution's own rule": 1})
check("7 pixels, kernel 4, stride 2, padding 1", lambda: side_transposed(7, 4, stride=2, padding=1), 14, {"padding makes it larger here; it cuts off": 18, "it is cut off at both ends": 15})
### BEGIN HIDDEN TESTS
hidden("05_convolutional", "check_transposed", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. A decoder for a given encoder (•••, 4 points)
#
# This encoder comes from somebody else. Its strides do the shrinking, there is no pooling, and its code is 24 × 4 × 4.

# %%
def make_encoder():
    return nn.Sequential(
        nn.Conv2d(1, 12, 4, stride=2, padding=1), nn.ReLU(),  # 28x28 -> 14x14
        nn.Conv2d(12, 24, 4, stride=2, padding=1), nn.ReLU(),  # 14x14 -> 7x7
        nn.Conv2d(24, 24, 3, stride=2, padding=1),  # 7x7 -> 4x4
    )


tuple(make_encoder()(validation.images[:5]).shape)

# %% [markdown]
# Return a decoder, of layers from `nn`, that leads from (N, 24, 4, 4) to images (N, 1, 28, 28) with values **in [0, 1]** and has **at most 20,000 parameters**. It must really use *where* in the code something
# stands, be trainable to the very end (think of a ReLU as last layer), and, trained with the encoder for 400 steps, reach an error below **0.013** per pixel on held-out images.

# %% nbgrader={"grade": false, "grade_id": "make_decoder", "locked": false, "schema_version": 3, "solution": true, "task": false}
def make_decoder():
    """An nn.Module: codes (N, 24, 4, 4) -> images (N, 1, 28, 28) in [0, 1]."""
    ### BEGIN SOLUTION
    return nn.Sequential(
        nn.ConvTranspose2d(24, 24, 3, stride=2, padding=1), nn.ReLU(),  # 4x4 -> 7x7
        nn.ConvTranspose2d(24, 12, 4, stride=2, padding=1), nn.ReLU(),  # 7x7 -> 14x14
        nn.ConvTranspose2d(12, 1, 4, stride=2, padding=1), nn.Sigmoid(),  # 14x14 -> 28x28
    )
    ### END SOLUTION

# %% [markdown]
# The next cell trains encoder and decoder together. It takes about half a minute.

# %% tags=["wanted"]
ten = data.one_of_each(validation)
rows = {"original": ten.images}
try:
    torch.manual_seed(0)
    autoencoder = nn.Sequential(make_encoder(), make_decoder())
    training.fit(autoencoder, train.images[:7000], epochs=epochs, lr=3e-3)
    rows["yours"] = metrics.apply_in_batches(autoencoder, ten.images)
    error = metrics.reconstruction_error(autoencoder, validation.images)
    title = f"From a code of 384 numbers back to the image: error {error:.4f} per pixel"
except Exception as problem:
    autoencoder, error, title = None, float("nan"), f"Not yet: {type(problem).__name__}"
plots.image_rows(rows, title, "Ten held-out images, one of each class, and what encoder and decoder make of them.", ten.class_names)

# %% nbgrader={"grade": true, "grade_id": "check_make_decoder", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("shape of the decoded images", lambda: tuple(make_decoder()(torch.randn(3, 24, 4, 4)).shape), (3, 1, 28, 28), {"transposed convolutions with stride 2 and no padding grow 4 to 9": (3, 1, 36, 36)})
check("at most 20,000 parameters", lambda: sum(p.numel() for p in make_decoder().parameters()) <= 20_000, True, likely="a linear layer to 784 pixels; channels that do not shrink")
check("values in [0, 1]", lambda: bool(((x := make_decoder()(10 * torch.randn(50, 24, 4, 4))) >= 0).all() and (x <= 1).all()), True, likely="no sigmoid at the end")
check("error below 0.013", lambda: error < 0.013, True, likely="a ReLU as last layer, or too few channels")
### BEGIN HIDDEN TESTS
hidden("05_convolutional", "check_make_decoder", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. What is lost on the way? (••, text, 3 points)
#
# "A transposed convolution is the inverse of the convolution, so the decoder only has to run the encoder backwards." In at most ten sentences: what is right about this sentence and what is
# wrong? Say what happens to the shape and what to the values, and name one place in an encoder (yours or the lesson's) where two different images give the same output.
#
# *How it is marked.* One point: it restores the shape, not the values (its weights are its own, and are learned). One point: a real place where information goes: ReLU, max pooling, the border that a
# rounding cuts off, or simply fewer numbers. One point: an example that shows it, or the reason why the rounding makes the shape ambiguous (7 and 8 pixels both lead to 4).

# %% [markdown] nbgrader={"grade": true, "grade_id": "inverse", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# Model answer. Right is that it undoes the change of shape: where a convolution leads from 14 to 7 pixels, the transposed one with the same settings leads from 7 to 14. The values do not come back; it has weights of its own,
# and these are learned. They could not come back, since a ReLU makes one zero of all negative numbers, and 784 pixels became 384 numbers. Even the shape is not always determined: with stride 2, kernel 3 and padding 1
# a side of 7 and one of 8 both lead to 4, so the transposed layer has to be told which one is meant.

# %% [markdown]
# ## What you have done
#
# You can say what leaves a layer before you run it, and you have built the way back for an encoder that was not yours. Exercise 6 puts such an encoder to work with very few labels.
